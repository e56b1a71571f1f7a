package store

import (
	"encoding/binary"
	"errors"
	"hash/crc32"
	"math"
	"time"

	"rollover/rollover"
)

// Header is what lists need of one zone: decoding 100,000 rollovers as JSON
// takes 2 s, their headers some 20 ms. State is empty while the zone never had
// a rollover and is remembered for other reasons.
//
// Its octets, numbers being big-endian:
//
//	 0      version of this encoding, 1
//	 1      flags: 1 needs the operator
//	 2..9   next check, ns since 1970 UTC, 0 for none
//	10..17  started, the same
//	18..21  CRC-32C of the zone, octets 0..17, octets 22.., the value in
//	        rollovers and the value in ledger
//	22..    state, type, method, step, phase: one octet of length, then the text
type Header struct {
	Zone          string
	State         rollover.State
	Type          string
	Method        string
	Step          string
	Phase         rollover.Phase
	NextCheck     time.Time // UTC; zero for none
	StartedAt     time.Time // UTC; zero for none
	NeedsOperator bool      // somebody must do something, or it stays as it is
}

const (
	headerVersion = 1
	headerFixed   = 22
	headerSum     = 18
	flagOperator  = 1
)

var errHeader = errors.New("its header does not decode")

// headerOf is the header of a dossier.
func headerOf(d rollover.Dossier) Header {
	if d.Roll == nil {
		return Header{Zone: d.Zone}
	}
	r := d.Roll
	return Header{
		Zone: d.Zone, State: r.State, Type: r.Type, Method: r.Method, Step: r.Step, Phase: r.Phase,
		NextCheck: r.NextCheck, StartedAt: r.StartedAt, NeedsOperator: r.NeedsOperator(),
	}
}

// append adds the octets of the header, without checksum, to b.
func (h Header) append(b []byte) ([]byte, error) {
	var flags byte
	if h.NeedsOperator {
		flags |= flagOperator
	}
	b = append(b, headerVersion, flags)
	b = binary.BigEndian.AppendUint64(b, stamp(h.NextCheck))
	b = binary.BigEndian.AppendUint64(b, stamp(h.StartedAt))
	b = append(b, 0, 0, 0, 0)
	for _, text := range [...]string{string(h.State), h.Type, h.Method, h.Step, string(h.Phase)} {
		if len(text) > math.MaxUint8 {
			return nil, errors.New("a name in it is longer than 255 octets")
		}
		b = append(append(b, byte(len(text))), text...)
	}
	return b, nil
}

// decodeHeader reads the octets of a header. It allocates nothing: the texts
// are part of value. Each header has only one encoding that it takes.
func decodeHeader(zone, value string) (Header, error) {
	if len(value) < headerFixed || value[0] != headerVersion || value[1]&^flagOperator != 0 {
		return Header{}, errHeader
	}
	next, ok1 := unstamp(value[2:10])
	started, ok2 := unstamp(value[10:18])
	if !ok1 || !ok2 {
		return Header{}, errHeader
	}
	var texts [5]string
	rest := value[headerFixed:]
	for i := range texts {
		if rest == "" || len(rest) <= int(rest[0]) {
			return Header{}, errHeader
		}
		end := 1 + int(rest[0])
		texts[i], rest = rest[1:end], rest[end:]
	}
	if rest != "" {
		return Header{}, errHeader
	}
	return Header{
		Zone: zone, State: rollover.State(texts[0]), Type: texts[1], Method: texts[2], Step: texts[3], Phase: rollover.Phase(texts[4]),
		NextCheck: next, StartedAt: started, NeedsOperator: value[1]&flagOperator != 0,
	}, nil
}

// checksum is what octets 18..21 must be.
func checksum(zone string, header, roll, ledger []byte) uint32 {
	table := crc32.MakeTable(crc32.Castagnoli)
	sum := crc32.Checksum([]byte(zone), table)
	for _, part := range [...][]byte{header[:headerSum], header[headerFixed:], roll, ledger} {
		sum = crc32.Update(sum, table, part)
	}
	return sum
}

// stamp is a time in ns since 1970, 0 for the zero time. Times that do not fit
// become the nearest that do (1 ns after 1970, and the year 2262).
func stamp(t time.Time) uint64 {
	switch {
	case t.IsZero():
		return 0
	case !t.After(time.Unix(0, 1)):
		return 1
	case t.After(time.Unix(0, math.MaxInt64)):
		return math.MaxInt64
	}
	return uint64(t.UnixNano())
}

// unstamp is the way back; it takes 8 octets.
func unstamp(octets string) (time.Time, bool) {
	var ns uint64
	for i := range 8 {
		ns = ns<<8 | uint64(octets[i])
	}
	if ns == 0 {
		return time.Time{}, true
	}
	return time.Unix(0, int64(ns)).UTC(), ns <= math.MaxInt64
}
