package host

import (
	"bytes"
	"io/fs"
	"math"
	"path"
	"slices"
	"strconv"
	"strings"
)

// CgroupMemory returns the lowest memory limit, in bytes, of the cgroup of this process and of those above it
// as far as they can be seen, or 0 if there is none. root is the file system of this process.
func CgroupMemory(root fs.FS) int64 {
	group, v1 := ownCgroup(readAll(root, "proc/self/cgroup"))
	mount, top := cgroupMount(readAll(root, "proc/self/mountinfo"), v1)
	if mount == "" {
		return 0
	}
	files := []string{"memory.max", "memory.high"}
	if v1 {
		files = []string{"memory.limit_in_bytes"}
	}
	// In a container the mount usually shows the container's own cgroup, by whatever name the host calls it.
	inside, below := strings.CutPrefix(group+"/", strings.TrimSuffix(top, "/")+"/")
	if !below || strings.Contains(group, "/..") {
		inside = ""
	}
	limit := int64(math.MaxInt64)
	for dir := path.Join(mount, inside); ; dir = path.Dir(dir) {
		for _, file := range files {
			limit = min(limit, parseLimit(readAll(root, path.Join(dir, file))))
		}
		if dir == mount || dir == "." {
			break
		}
	}
	if limit == math.MaxInt64 {
		return 0
	}
	return limit
}

// ownCgroup returns the cgroup that accounts for memory, from /proc/self/cgroup: lines of
// number:controllers:path. The controller is in version 1 unless no line names it.
func ownCgroup(text []byte) (group string, v1 bool) {
	for line := range strings.Lines(string(text)) {
		parts := strings.SplitN(strings.TrimSpace(line), ":", 3)
		switch {
		case len(parts) < 3:
		case slices.Contains(strings.Split(parts[1], ","), "memory"):
			return parts[2], true
		case parts[0] == "0" && parts[1] == "":
			group = parts[2]
		}
	}
	return group, false
}

// cgroupMount returns where the hierarchy is mounted, as a path in an fs.FS, and which of its cgroups is at
// the top there, from /proc/self/mountinfo: id, parent, device, top, mount point, options, then optional
// fields up to a hyphen, file system, source, super options.
func cgroupMount(text []byte, v1 bool) (mount, top string) {
	for line := range strings.Lines(string(text)) {
		here, kind, found := strings.Cut(line, " - ")
		fields, kinds := strings.Fields(here), strings.Fields(kind)
		if !found || len(fields) < 5 || len(kinds) < 3 {
			continue
		}
		if v1 && kinds[0] == "cgroup" && slices.Contains(strings.Split(kinds[2], ","), "memory") ||
			!v1 && kinds[0] == "cgroup2" {
			return strings.TrimPrefix(fields[4], "/"), fields[3]
		}
	}
	return "", ""
}

// parseLimit returns math.MaxInt64 for no limit, which version 2 writes as max and version 1 as a number near
// that one.
func parseLimit(text []byte) int64 {
	n, err := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64)
	if err != nil || n <= 0 || n > math.MaxInt64/2 {
		return math.MaxInt64
	}
	return n
}

// readAll returns nothing for a file that cannot be read: without it there is no limit.
func readAll(root fs.FS, name string) []byte {
	data, err := fs.ReadFile(root, name)
	if err != nil {
		return nil
	}
	return data
}
