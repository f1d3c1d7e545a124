package tlsorigin

import (
	"crypto/x509"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// A pipe, a device or a huge file that the environment names as roots is refused. Reading it would hang the
// start.
func TestRootsThatCannotBeRead(t *testing.T) {
	dir := t.TempDir()
	pipe, huge := filepath.Join(dir, "pipes", "pipe.pem"), filepath.Join(dir, "huge.pem")
	err := errors.Join(os.Mkdir(filepath.Dir(pipe), 0o700), syscall.Mkfifo(pipe, 0o600), os.WriteFile(huge, nil, 0o600),
		os.Truncate(huge, 1<<30))
	if err != nil {
		t.Fatal(err)
	}
	for name, row := range map[string]struct{ variable, path, want string }{
		"pipe":             {rootsFileVariable, pipe, "which is not a regular file"},
		"device":           {rootsFileVariable, "/dev/zero", "which is not a regular file"},
		"huge":             {rootsFileVariable, huge, "which is larger than 4 MiB"},
		"folder with pipe": {rootsDirVariable, dir + ":" + filepath.Dir(pipe), ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(row.variable, row.path)
			_, err := newDialer(Config{Addrs: []string{"db.internal:5432"}}, func() (*x509.CertPool, error) {
				t.Error("the roots are read")
				return x509.NewCertPool(), nil
			})
			if err == nil || !strings.Contains(err.Error(), row.want) || !strings.Contains(err.Error(), row.variable) {
				t.Errorf("error %v, want one that says %q of %s", err, row.want, row.variable)
			}
		})
	}
}
