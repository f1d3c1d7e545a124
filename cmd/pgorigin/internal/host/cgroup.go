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

// CgroupMemory returns the lowest memory limit, in bytes, of the cgroup of this process and of its visible
// ancestors. Zero means no limit. root is the root of the file system.
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
	// In a container, the mount usually shows the container's own cgroup, whose path on the host is another
	// one.
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

// ownCgroup returns the cgroup that accounts for memory, and whether it is one of cgroup v1. text is
// /proc/self/cgroup, with lines of number:controllers:path. Under v1, a line names the memory controller.
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

// cgroupMount returns the mount point of the hierarchy as a path in an fs.FS, and the cgroup at its top.
// text is /proc/self/mountinfo, with lines of id, parent, device, top, mount point, options, optional
// fields, a hyphen, file system, source, super options.
func cgroupMount(text []byte, v1 bool) (mount, top string) {
	for line := range strings.Lines(string(text)) {
		here, kind, found := strings.Cut(line, " - ")
		fields, kinds := strings.Fields(here), strings.Fields(kind)
		if !found || len(fields) < 5 || len(kinds) < 3 {
			continue
		}
		memory := kinds[0] == "cgroup" && slices.Contains(strings.Split(kinds[2], ","), "memory")
		if v1 && memory || !v1 && kinds[0] == "cgroup2" {
			return strings.TrimPrefix(fields[4], "/"), fields[3]
		}
	}
	return "", ""
}

// parseLimit returns math.MaxInt64 for no limit. cgroup v2 writes no limit as "max", and v1 as a huge number.
func parseLimit(text []byte) int64 {
	n, err := strconv.ParseInt(string(bytes.TrimSpace(text)), 10, 64)
	if err != nil || n <= 0 || n > math.MaxInt64/2 {
		return math.MaxInt64
	}
	return n
}

// readAll returns nil for a file that cannot be read. Then there is no limit.
func readAll(root fs.FS, name string) []byte {
	data, err := fs.ReadFile(root, name)
	if err != nil {
		return nil
	}
	return data
}
