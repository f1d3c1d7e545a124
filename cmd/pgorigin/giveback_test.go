package main

import (
	"slices"
	"testing"
)

func TestCalmness(t *testing.T) {
	const little, much = giveBackWorth / 4, 10 * giveBackWorth
	for name, row := range map[string]struct {
		minutes []uint64 // what each allocates
		want    []int    // after which of them memory is given back
	}{
		"never used":   {[]uint64{little, 0, 0}, nil},
		"start":        {[]uint64{much, little, little}, []int{1}},
		"one burst":    {[]uint64{0, much, 0, 0, 0}, []int{2}},
		"two bursts":   {[]uint64{much, 0, much, much, little, 0}, []int{1, 4}},
		"always busy":  {[]uint64{much, much, much, much}, nil},
		"only scraped": {slices.Repeat([]uint64{little}, 9), []int{3, 7}},
		"nearly much":  {[]uint64{giveBackWorth - 1, giveBackWorth - 1, giveBackWorth, 0}, []int{1, 3}},
	} {
		var calm calmness
		var allocated uint64
		var got []int
		for minute, n := range row.minutes {
			allocated += n
			if calm.after(allocated) {
				got = append(got, minute)
			}
		}
		if !slices.Equal(got, row.want) {
			t.Errorf("%s: after minutes %v, want %v", name, got, row.want)
		}
	}
}
