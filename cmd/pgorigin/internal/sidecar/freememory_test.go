package sidecar

import (
	"slices"
	"testing"
)

func TestMemoryIsGivenBackWhenItHasGrown(t *testing.T) {
	const mb = 1 << 20
	for name, row := range map[string]struct {
		looks []uint64 // what is held at each, in MiB
		left  uint64   // what is held behind a collection
		want  []int    // at which of them memory is given back
	}{
		"start":          {[]uint64{12, 12, 12, 12}, 11, []int{1}},
		"one burst":      {[]uint64{12, 12, 60, 60, 20, 20}, 11, []int{1, 3, 5}},
		"a moment":       {[]uint64{12, 12, 60, 12, 60, 12}, 11, []int{1}},
		"little growth":  {[]uint64{12, 12, 14, 14, 15, 15}, 11, []int{1}},
		"sessions stay":  {[]uint64{60, 60, 60, 60, 61, 61}, 55, []int{1}},
		"given by Go":    {[]uint64{60, 60, 20, 20, 30, 30}, 55, []int{1, 5}},
		"never anything": {[]uint64{1, 1, 1, 1}, 1, nil},
	} {
		var growth memoryGrowth
		var got []int
		for i, held := range row.looks {
			if growth.observe(held * mb) {
				got = append(got, i)
				growth.base = row.left * mb
			}
		}
		if !slices.Equal(got, row.want) {
			t.Errorf("%s: given back at looks %v, want %v", name, got, row.want)
		}
	}
}
