package host

import (
	"os"
	"testing"
	"testing/fstest"
)

// Lines of mountinfo as machines and containers have them.
const (
	mountV2        = "29 22 0:26 / /sys/fs/cgroup rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
	mountV1        = "33 24 0:29 / /sys/fs/cgroup/memory rw,nosuid shared:9 - cgroup cgroup rw,memory\n"
	mountV1Docker  = "701 690 0:29 /docker/c0ffee /sys/fs/cgroup/memory ro,nosuid master:9 - cgroup cgroup rw,memory\n"
	mountV1CPU     = "32 24 0:28 / /sys/fs/cgroup/cpu rw,nosuid shared:8 - cgroup cgroup rw,cpu,cpuacct\n"
	mountUnified   = "31 24 0:26 / /sys/fs/cgroup/unified rw,nosuid - cgroup2 cgroup2 rw\n"
	mountElsewhere = "25 1 8:1 / / rw,relatime - ext4 /dev/sda1 rw\n"
)

func TestCgroupMemory(t *testing.T) {
	for name, row := range map[string]struct {
		cgroup, mounts string
		files          map[string]string
		want           int64
	}{
		"version 2, own":        {"0::/\n", mountElsewhere + mountV2, map[string]string{"memory.max": "67108864\n"}, 64 << 20},
		"version 2, none":       {"0::/\n", mountV2, map[string]string{"memory.max": "max\n", "memory.high": "max\n"}, 0},
		"version 2, throttled":  {"0::/\n", mountV2, map[string]string{"memory.max": "67108864\n", "memory.high": "33554432\n"}, 32 << 20},
		"version 2, parent":     {"0::/pod/app\n", mountV2, map[string]string{"pod/app/memory.max": "max\n", "pod/memory.max": "1048576\n"}, 1 << 20},
		"version 2, own lower":  {"0::/pod/app\n", mountV2, map[string]string{"pod/app/memory.max": "1048576\n", "pod/memory.max": "2097152\n"}, 1 << 20},
		"version 2, sibling":    {"0::/pod/app\n", mountV2, map[string]string{"pod/other/memory.max": "1048576\n"}, 0},
		"version 2, outside":    {"0::/../../pod\n", mountV2, map[string]string{"memory.max": "1048576\n"}, 1 << 20},
		"version 1, own":        {"4:memory:/pod\n0::/\n", mountV1CPU + mountV1, map[string]string{"memory/pod/memory.limit_in_bytes": "1048576\n"}, 1 << 20},
		"version 1, none":       {"4:memory:/\n", mountV1, map[string]string{"memory/memory.limit_in_bytes": "9223372036854771712\n"}, 0},
		"version 1, container":  {"4:memory:/docker/c0ffee\n", mountV1Docker, map[string]string{"memory/memory.limit_in_bytes": "1048576\n"}, 1 << 20},
		"version 1, nested":     {"4:memory:/docker/c0ffee/app\n", mountV1Docker, map[string]string{"memory/app/memory.limit_in_bytes": "1048576\n"}, 1 << 20},
		"version 1 beside 2":    {"0::/\n4:memory:/\n", mountUnified + mountV1, map[string]string{"memory/memory.limit_in_bytes": "1048576\n", "unified/memory.max": "1\n"}, 1 << 20},
		"version 2 without it":  {"1:cpu:/\n0::/\n", mountV1CPU + mountUnified, map[string]string{}, 0},
		"nothing mounted":       {"0::/\n", mountElsewhere, map[string]string{"memory.max": "1048576\n"}, 0},
		"no number":             {"0::/\n", mountV2, map[string]string{"memory.max": "1M\n"}, 0},
		"zero":                  {"0::/\n", mountV2, map[string]string{"memory.max": "0\n"}, 0},
		"neither file":          {"", "", nil, 0},
		"lines that are broken": {"0:\n\nmemory\n", "29 22 0:26\n - cgroup2\n", nil, 0},
	} {
		root := fstest.MapFS{
			"proc/self/cgroup":    {Data: []byte(row.cgroup)},
			"proc/self/mountinfo": {Data: []byte(row.mounts)},
		}
		for file, content := range row.files {
			root["sys/fs/cgroup/"+file] = &fstest.MapFile{Data: []byte(content)}
		}
		if got := CgroupMemory(root); got != row.want {
			t.Errorf("%s: %d; want %d", name, got, row.want)
		}
	}
	if CgroupMemory(fstest.MapFS{}) > 0 {
		t.Error("a limit without any file")
	}
}

// TestCgroupMemoryOfThisMachine only wants the real files to be read without a panic: what they say is the machine's affair.
func TestCgroupMemoryOfThisMachine(t *testing.T) {
	if limit := CgroupMemory(os.DirFS("/")); limit < 0 {
		t.Errorf("limit of %d bytes", limit)
	}
}
