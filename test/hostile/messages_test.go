//go:build hostile

package hostile

import (
	"bytes"
	"encoding/binary"
)

// Messages of the server, written by hand: a test of a decoder does not trust an encoder.

func packet(body string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(len(body)+4)), body...)
}

func frame(kind byte, body string) []byte { return append([]byte{kind}, packet(body)...) }

// framed lies about its length.
func framed(kind byte, length uint32, body string) []byte {
	return append(binary.BigEndian.AppendUint32([]byte{kind}, length), body...)
}

func authentication(code uint32, rest string) []byte {
	return frame('R', string(binary.BigEndian.AppendUint32(nil, code))+rest)
}

func authOk() []byte            { return authentication(0, "") }
func askCleartext() []byte      { return authentication(3, "") }
func askMD5() []byte            { return authentication(5, "salt") }
func askGSS() []byte            { return authentication(7, "") }
func gssContinue() []byte       { return authentication(8, "token") }
func askSSPI() []byte           { return authentication(9, "") }
func saslFirst(s string) []byte { return authentication(11, s) }
func saslFinal(s string) []byte { return authentication(12, s) }

func askSASL(mechanisms ...string) []byte {
	var list string
	for _, m := range mechanisms {
		list += m + "\x00"
	}
	return authentication(10, list+"\x00")
}

func ready() []byte   { return frame('Z', "I") }
func keyData() []byte { return frame('K', "\x00\x00\x30\x39key4") }
func notice() []byte {
	return frame('N', "SWARNING\x00VWARNING\x00C01000\x00Mlook here\x00\x00")
}

func fatal() []byte {
	return frame('E', "SFATAL\x00VFATAL\x00C28P01\x00Mpassword authentication failed\x00\x00")
}

func parameter(name, value string) []byte { return frame('S', name+"\x00"+value+"\x00") }

// settings are what drivers want to know before they send a query.
func settings() []byte {
	return bytes.Join([][]byte{
		parameter("server_version", "15.18"), parameter("client_encoding", "UTF8"), parameter("DateStyle", "ISO, MDY"),
		parameter("standard_conforming_strings", "on"), parameter("integer_datetimes", "on"),
		parameter("TimeZone", "UTC"), parameter("server_encoding", "UTF8"),
	}, nil)
}

// answer is one row with the number 1.
func answer() []byte {
	return bytes.Join([][]byte{
		frame('T', "\x00\x01n\x00\x00\x00\x00\x00\x00\x00\x00\x00\x00\x17\x00\x04\xff\xff\xff\xff\x00\x00"),
		frame('D', "\x00\x01\x00\x00\x00\x011"), frame('C', "SELECT 1\x00"), ready(),
	}, nil)
}

// startupPacket is a client's first message.
func startupPacket(parameters ...string) []byte {
	body := "\x00\x03\x00\x00"
	for _, p := range parameters {
		body += p + "\x00"
	}
	return packet(body + "\x00")
}

// initialResponse is a client's choice of a SASL mechanism with its first message.
func initialResponse(mechanism string) []byte {
	const first = "n,,n=,r=rOprNGfwEbeRWgbNEkqO"
	return frame('p', mechanism+"\x00"+string(binary.BigEndian.AppendUint32(nil, uint32(len(first))))+first)
}

// saslInitial returns the client's first message out of a SASLInitialResponse.
func saslInitial(body []byte) string {
	_, rest, found := bytes.Cut(body, []byte{0})
	if !found || len(rest) < 4 {
		return ""
	}
	return string(rest[4:])
}
