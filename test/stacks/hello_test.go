//go:build stacks

package stacks

import (
	"crypto/tls"
	"encoding/binary"
	"fmt"
	"slices"
)

// offer is what a ClientHello offers.
type offer struct {
	Bytes      int      `json:"bytes"` // with its record headers
	Versions   []string `json:"versions"`
	Groups     []string `json:"groups"`
	Signatures []string `json:"signatures"`
	Suites     []string `json:"suites"` // kinds, of TLS 1.2 and older
}

// readOffer reads a ClientHello in its records. A malformed one may panic: the suite's own clients sent it.
func readOffer(records []byte) *offer {
	o := &offer{Bytes: len(records)}
	var body []byte
	for len(records) > 0 {
		n := 5 + int(binary.BigEndian.Uint16(records[3:]))
		body = append(body, records[5:n]...)
		records = records[n:]
	}
	legacy := binary.BigEndian.Uint16(body[4:])
	body = body[4+2+32:]
	take := func(size int) []byte { // a vector whose length has that many bytes
		n := 0
		for _, b := range body[:size] {
			n = n<<8 | int(b)
		}
		taken := body[size : size+n]
		body = body[size+n:]
		return taken
	}
	take(1)
	suites := words(take(2))
	take(1)
	if len(body) > 0 {
		body = take(2)
	}
	for len(body) > 0 {
		kind := binary.BigEndian.Uint16(body)
		body = body[2:]
		switch extension := take(2); kind {
		case 10:
			o.Groups = names(words(extension[2:]), groupName)
		case 13:
			o.Signatures = names(words(extension[2:]), signatureName)
		case 43:
			o.Versions = names(words(extension[1:]), tls.VersionName)
		}
	}
	if o.Versions == nil {
		for v := legacy; v >= tls.VersionTLS10; v-- {
			o.Versions = append(o.Versions, tls.VersionName(v))
		}
	}
	o.Suites = suiteKinds(suites)
	return o
}

func words(list []byte) []uint16 {
	var all []uint16
	for ; len(list) >= 2; list = list[2:] {
		all = append(all, binary.BigEndian.Uint16(list))
	}
	return all
}

// names leaves out GREASE and what has no name here.
func names(codes []uint16, name func(uint16) string) []string {
	var all []string
	for _, code := range codes {
		if code&0x0f0f == 0x0a0a && code>>8 == code&0xff {
			continue
		}
		all = append(all, name(code))
	}
	return all
}

func groupName(code uint16) string {
	known := map[uint16]string{
		23: "P-256", 24: "P-384", 25: "P-521", 29: "X25519", 30: "X448", 22: "secp256k1", 256: "ffdhe2048",
		0x11eb: "SecP256r1MLKEM768", 0x11ec: "X25519MLKEM768", 0x11ed: "SecP384r1MLKEM1024",
		0x6399: "X25519Kyber768Draft00",
	}
	if name, ok := known[code]; ok {
		return name
	}
	return fmt.Sprintf("%#04x", code)
}

func signatureName(code uint16) string {
	switch code {
	case 0x0807:
		return "Ed25519"
	case 0x0808:
		return "Ed448"
	case 0x0809, 0x080a, 0x080b:
		return fmt.Sprintf("PSSKeyWithSHA%d", []int{256, 384, 512}[code-0x0809])
	case 0x0904, 0x0905, 0x0906:
		return fmt.Sprintf("MLDSA%d", []int{44, 65, 87}[code-0x0904])
	}
	if name := tls.SignatureScheme(code).String(); name[0] != '0' && len(name) < 40 {
		return name
	}
	return fmt.Sprintf("%#04x", code)
}

// suiteKinds returns the kinds of cipher suites of TLS 1.2 and older, as the table of stacks names them.
func suiteKinds(codes []uint16) []string {
	var kinds []string
	for _, code := range codes {
		kind := ""
		switch {
		case slices.Contains([]uint16{0xc02b, 0xc02c, 0xc02f, 0xc030, 0xcca8, 0xcca9, 0xc0ac, 0xc0ad}, code):
			kind = "ECDHE with AES-GCM or ChaCha20"
		case slices.Contains([]uint16{0xc009, 0xc00a, 0xc013, 0xc014, 0xc023, 0xc024, 0xc027, 0xc028}, code):
			kind = "ECDHE with AES-CBC"
		case slices.Contains([]uint16{0x33, 0x39, 0x67, 0x6b, 0x9e, 0x9f, 0xccaa}, code):
			kind = "DHE"
		case slices.Contains([]uint16{0x2f, 0x35, 0x3c, 0x3d, 0x9c, 0x9d}, code):
			kind = "RSA key exchange"
		}
		if kind != "" && !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	return kinds
}
