package host

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
)

// portHolder names the process that listens on a TCP port. It is empty if the kernel does not tell this user.
func portHolder(port string) string {
	number, err := strconv.ParseUint(port, 10, 16)
	if err != nil {
		return ""
	}
	sockets := map[string]bool{}
	for _, table := range []string{"/proc/net/tcp", "/proc/net/tcp6"} {
		listening(table, fmt.Sprintf(":%04X", number), sockets)
	}
	if len(sockets) == 0 {
		return ""
	}
	links, _ := filepath.Glob("/proc/[0-9]*/fd/*") // the pattern is good
	for _, link := range links {
		if target, err := os.Readlink(link); err != nil || !sockets[target] {
			continue
		}
		folder := filepath.Dir(filepath.Dir(link))
		name, err := os.ReadFile(filepath.Join(folder, "comm"))
		if err != nil {
			continue
		}
		return strings.TrimSpace(string(name)) + ", process " + filepath.Base(folder)
	}
	return ""
}

// listening adds the sockets of a table that listen on a port, by the name that a descriptor shows.
func listening(table, port string, sockets map[string]bool) {
	text, err := os.ReadFile(table)
	if err != nil {
		return
	}
	const local, state, inode, listens = 1, 3, 9, "0A"
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) > inode && fields[state] == listens && strings.HasSuffix(fields[local], port) {
			sockets["socket:["+fields[inode]+"]"] = true
		}
	}
}
