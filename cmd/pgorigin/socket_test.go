package main

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestSocketPath(t *testing.T) {
	dir := t.TempDir()
	for addr, want := range map[string]string{
		"unix:" + dir:               filepath.Join(dir, socketName),
		"unix:" + dir + "/":         filepath.Join(dir, socketName),
		"unix:" + dir + "/own.sock": filepath.Join(dir, "own.sock"),
	} {
		if got, err := socketPath(addr); err != nil || got != want {
			t.Errorf("%s: %s (%v), want %s", addr, got, err, want)
		}
	}
	for _, addr := range []string{"unix:", "unix:relative", "unix:@abstract", "unix:/" + strings.Repeat("x", 107)} {
		if got, err := socketPath(addr); err == nil {
			t.Errorf("%s is taken as %s", addr, got)
		}
	}
}

func TestListenUnix(t *testing.T) {
	path := filepath.Join(t.TempDir(), socketName)
	first, err := listenUnix(t.Context(), path, 0o660)
	if err != nil {
		t.Fatal(err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o660 {
		t.Errorf("mode %v (%v)", info.Mode(), err)
	}
	if _, err := listenUnix(t.Context(), path, 0o600); !errors.Is(err, errSocketInUse) {
		t.Errorf("a live socket was taken: %v", err)
	}
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatalf("the live socket does not work any more: %v", err)
	}
	accepted, err := first.AcceptUnix()
	if err != nil {
		t.Fatal(err)
	}
	if uid, err := peerUID(accepted); err != nil || int(uid) != os.Getuid() {
		t.Errorf("peer's uid %d (%v), want %d", uid, err, os.Getuid())
	}
	_ = accepted.Close()
	_ = conn.Close()
	if err := first.Close(); err != nil {
		t.Error(err)
	}
	if left, _ := filepath.Glob(path + "*"); len(left) > 0 {
		t.Errorf("left %v", left)
	}
}

// What a killed process leaves behind is replaced; what is not a socket, or has
// an owner without our kind of lock, is not.
func TestListenUnixFindsSomethingThere(t *testing.T) {
	dir := t.TempDir()
	dead := filepath.Join(dir, "dead")
	ln, err := net.ListenUnix("unix", &net.UnixAddr{Name: dead, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	ln.SetUnlinkOnClose(false)
	_ = ln.Close()
	if err := os.WriteFile(dead+".lock", []byte("4711\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	again, err := listenUnix(t.Context(), dead, 0o600)
	if err != nil {
		t.Fatalf("a dead socket is in the way: %v", err)
	}
	_ = again.Close()

	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := listenUnix(t.Context(), file, 0o600); err == nil {
		t.Error("listens in place of a file")
	}
	if data, _ := os.ReadFile(file); string(data) != "precious" {
		t.Error("the file is gone")
	}

	foreign := filepath.Join(dir, "foreign")
	other, err := net.ListenUnix("unix", &net.UnixAddr{Name: foreign, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	defer other.Close()
	if _, err := listenUnix(t.Context(), foreign, 0o600); !errors.Is(err, errSocketInUse) {
		t.Errorf("took a socket of somebody else: %v", err)
	}
	if left, _ := filepath.Glob(filepath.Join(dir, "*.lock")); len(left) > 0 {
		t.Errorf("left %v", left)
	}
	if _, err := listenUnix(t.Context(), filepath.Join(dir, "no", "such", "dir"), 0o600); err == nil {
		t.Error("listens in a folder that is not there")
	}
}
