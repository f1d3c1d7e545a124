package tlsorigin

import "testing"

func FuzzRecordBounds(f *testing.F) {
	f.Add([]byte("\x17\x03\x03\x00\x05hello\x15\x03\x03\x00\x02ab"), uint8(3))
	f.Add([]byte("\x17\x03\x03\x00\x00\x17\x03\x03"), uint8(1))
	f.Fuzz(func(t *testing.T, stream []byte, step uint8) {
		ends := map[int]bool{0: true}
		for at := 0; at+recordHeader <= len(stream); {
			at += recordHeader + bodyLength([recordHeader]byte(stream[at:]))
			ends[at] = true
		}
		var b recordBounds
		at := 0
		for at < len(stream) {
			shown := stream[at:min(len(stream), at+int(step)+1)]
			n := b.within(shown)
			if n < 1 || n > len(shown) {
				t.Fatalf("at %d of %d: %d of %d bytes belong to the record", at, len(stream), n, len(shown))
			}
			for i := at + 1; i < at+n; i++ {
				if ends[i] {
					t.Fatalf("went from %d to %d, across the end of a record at %d", at, at+n, i)
				}
			}
			b.passed(shown[:n])
			at += n
			if whole := b.have == 0 && b.left == 0; whole != ends[at] {
				t.Fatalf("at %d: whole %t, want %t", at, whole, ends[at])
			}
		}
	})
}
