package main

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// duration is a length of time as operators write it: "90d", "6w", "1w2d",
// "1h30m", or "never", which is stored as a negative one.
type duration time.Duration

const never duration = -1

const (
	day  = 24 * time.Hour
	week = 7 * day
)

// UnmarshalText reads a duration for the configuration file.
func (d *duration) UnmarshalText(text []byte) error {
	out, err := parseDuration(string(text))
	*d = out
	return err
}

// longestDuration is a century: more is a mistake, and some more overflows.
const longestDuration = 36525 * day

func parseDuration(text string) (duration, error) {
	if text == "never" {
		return never, nil
	}
	d, err := addUp(text)
	if err == nil && d > longestDuration {
		err = fmt.Errorf("%q is more than a century", text)
	}
	if err != nil {
		return 0, err
	}
	return duration(d), nil
}

// addUp is the sum of weeks, days and the rest; it does not overflow.
func addUp(text string) (time.Duration, error) {
	rest := strings.ReplaceAll(text, " ", "")
	total := time.Duration(0)
	for _, unit := range []struct {
		letter string
		length time.Duration
	}{{"w", week}, {"d", day}} {
		count, after, found := strings.Cut(rest, unit.letter)
		if !found {
			continue
		}
		n, err := strconv.ParseUint(count, 10, 16)
		if err != nil {
			return 0, fmt.Errorf("%q is not a length of time: write 90d, 6w, 1w2d, 1h30m, 45s or never", text)
		}
		if time.Duration(n) > (longestDuration-total)/unit.length {
			return 0, fmt.Errorf("%q is more than a century", text)
		}
		total, rest = total+time.Duration(n)*unit.length, after
	}
	if rest == "" && total > 0 {
		return total, nil
	}
	small, err := time.ParseDuration(rest)
	if err != nil || small < 0 {
		return 0, fmt.Errorf("%q is not a length of time: write 90d, 6w, 1w2d, 1h30m, 45s or never", text)
	}
	return total + min(small, longestDuration+1), nil
}

// String prints a duration as parseDuration reads it.
func (d duration) String() string {
	if d == never {
		return "never"
	}
	return span(time.Duration(d))
}

// span is a length of time for people: the two largest units, rounded up to
// whole seconds, so that a countdown never shows 0 while something is left.
func span(d time.Duration) string {
	if d <= 0 {
		return "0s"
	}
	s := int64((d + time.Second - 1) / time.Second)
	var out []string
	for _, unit := range []struct {
		name string
		secs int64
	}{{"w", 604800}, {"d", 86400}, {"h", 3600}, {"m", 60}, {"s", 1}} {
		if n := s / unit.secs; n > 0 {
			out = append(out, strconv.FormatInt(n, 10)+unit.name)
			s -= n * unit.secs
		}
	}
	return strings.Join(out[:min(2, len(out))], "")
}
