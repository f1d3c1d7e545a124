package tlsorigin

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/pgorigin/pgorigin/tlsorigin/internal/safetext"
)

// Environment variables that replace the system's roots in crypto/x509.
const (
	rootsFileVariable = "SSL_CERT_FILE"
	rootsDirVariable  = "SSL_CERT_DIR"
)

// RootSource is one place that trusted certificates come from.
type RootSource struct {
	// Setting is CAFile or CAPEM of Config, or the environment variable that names Path. Empty means that the
	// system looks there by itself.
	Setting string
	// Path is a file or folder. It is empty for CAPEM, and if the system does not say where its roots are.
	Path string
	// Certificates is how many there are. It is zero for those of the system, which cannot be counted.
	Certificates int
	// Unreadable says that crypto/x509 found nothing there and goes on without.
	Unreadable bool
}

// systemSources are the places where x509.SystemCertPool looks for roots.
func systemSources() []RootSource {
	if runtime.GOOS != "linux" {
		return []RootSource{{}}
	}
	var sources []RootSource
	if path := os.Getenv(rootsFileVariable); path != "" {
		_, err := os.Stat(path)
		sources = append(sources, RootSource{
			Setting: rootsFileVariable, Path: path,
			Unreadable: err != nil,
		})
	} else {
		sources = firstThatExists(
			"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/ca-bundle.pem",
			"/etc/pki/tls/cacert.pem", "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem", "/etc/ssl/cert.pem")
	}
	if paths := os.Getenv(rootsDirVariable); paths != "" {
		for path := range strings.SplitSeq(paths, ":") {
			_, err := os.Stat(path)
			sources = append(sources, RootSource{
				Setting: rootsDirVariable, Path: path,
				Unreadable: err != nil,
			})
		}
		return sources
	}
	for _, path := range []string{"/etc/ssl/certs", "/etc/pki/tls/certs"} {
		sources = append(sources, firstThatExists(path)...)
	}
	return sources
}

// readableSources returns an error if the environment names a pipe, a device or a huge file as roots, or a
// folder with one. crypto/x509 would read it for ever, or until the memory is full.
func readableSources(sources []RootSource) error {
	for _, source := range sources {
		if source.Setting == "" {
			continue
		}
		paths := []string{source.Path}
		if entries, err := os.ReadDir(source.Path); err == nil { // else it is no folder
			for _, entry := range entries {
				paths = append(paths, filepath.Join(source.Path, entry.Name()))
			}
		}
		for _, path := range paths {
			info, err := os.Stat(path)
			switch {
			case err != nil || info.IsDir(): // passed over
			case !info.Mode().IsRegular():
				return fmt.Errorf("%s leads to %s, which is not a regular file", source.Setting,
					safetext.Quote(path))
			case info.Size() > maxFileSize:
				return fmt.Errorf("%s leads to %s, which is larger than %d MiB", source.Setting,
					safetext.Quote(path), maxFileSize>>20)
			}
		}
	}
	return nil
}

func firstThatExists(paths ...string) []RootSource {
	for _, path := range paths {
		if _, err := os.Stat(path); err == nil {
			return []RootSource{{Path: path}}
		}
	}
	return nil
}
