// Command connect judges servers as an application on crypto/tls would. Old toolchains compile it, too.
package main

import (
	"bufio"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"
)

func main() {
	lines := bufio.NewScanner(os.Stdin)
	for lines.Scan() {
		job := strings.Fields(lines.Text())
		if err := connect(job[1], job[2], job[3]); err != nil {
			fmt.Printf("%s\tfails\t%q\n", job[0], err.Error())
		} else {
			fmt.Printf("%s\tconnects\t\"\"\n", job[0])
		}
	}
}

// connect uses TLS unless the CA file is "-".
func connect(port, caFile, name string) error {
	conn, err := net.Dial("tcp", "127.0.0.1:"+port)
	if err != nil {
		return err
	}
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(8 * time.Second))
	if caFile != "-" {
		if conn, err = secure(conn, caFile, name); err != nil {
			return err
		}
	}
	if _, err := conn.Write([]byte("\x00\x00\x00\x1f\x00\x03\x00\x00user\x00app\x00database\x00app\x00\x00")); err != nil {
		return err
	}
	_, err = conn.Read(make([]byte, 1))
	return err
}

func secure(conn net.Conn, caFile, name string) (net.Conn, error) {
	pem, err := os.ReadFile(caFile)
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, errors.New("no certificate could be parsed from the CA file")
	}
	if _, err := conn.Write([]byte{0, 0, 0, 8, 4, 210, 22, 47}); err != nil {
		return nil, err
	}
	if _, err := conn.Read(make([]byte, 1)); err != nil {
		return nil, err
	}
	secured := tls.Client(conn, &tls.Config{RootCAs: roots, ServerName: name})
	return secured, secured.Handshake()
}
