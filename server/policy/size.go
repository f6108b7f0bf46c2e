package policy

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// ParseSize reads a number of bytes: a whole number, alone or with a unit of any
// case. Each unit is a power of 1024, so 5M, 5MB and 5MiB are the same, as they
// are for waved. 0 usually stands for no limit.
func ParseSize(s string) (int64, error) {
	digits := strings.TrimRight(s, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ ")
	shift, ok := unitShift(strings.ToLower(strings.TrimSpace(s[len(digits):])))
	n, err := strconv.ParseUint(digits, 10, 63)
	if err != nil || !ok {
		return 0, fmt.Errorf("%q is not a size: write a whole number of bytes, or one with a unit, such as 512K, 5M or 1G; 0 is no limit", s)
	}
	if n > math.MaxInt64>>shift {
		return 0, fmt.Errorf("%q is more than this program can count", s)
	}
	return int64(n) << shift, nil
}

// unitShift returns the power of two of a unit, which is in lower case.
func unitShift(unit string) (int, bool) {
	switch strings.TrimSuffix(strings.TrimSuffix(unit, "b"), "i") {
	case "":
		return 0, unit == "" || unit == "b"
	case "k":
		return 10, true
	case "m":
		return 20, true
	case "g":
		return 30, true
	case "t":
		return 40, true
	}
	return 0, false
}

// sizeText writes a number of bytes out, in the largest unit that goes into it.
func sizeText(n int64) string {
	for _, unit := range [...]struct {
		shift int
		name  string
	}{{40, "TB"}, {30, "GB"}, {20, "MB"}, {10, "KB"}} {
		if n > 0 && n%(1<<unit.shift) == 0 {
			return strconv.FormatInt(n>>unit.shift, 10) + " " + unit.name
		}
	}
	return strconv.FormatInt(n, 10) + " bytes"
}

// parseDuration reads a length of time that is not negative, as Go writes it or
// as a whole number of days of 24 hours: 30d, up to 65535d.
func parseDuration(s string) (time.Duration, error) {
	if s == "0" {
		return 0, nil
	}
	if days, ok := strings.CutSuffix(s, "d"); ok {
		if n, err := strconv.ParseUint(days, 10, 16); err == nil {
			return time.Duration(n) * 24 * time.Hour, nil
		}
	}
	d, err := time.ParseDuration(s)
	if err != nil {
		if _, bad := strconv.ParseFloat(s, 64); bad == nil {
			return 0, fmt.Errorf("duration %q has no unit: write %ss or %sm", s, s, s)
		}
		return 0, fmt.Errorf("duration %q: want a number and a unit, such as 500ms, 60s, 5m, 1h30m, 30d; 0s is none", s)
	}
	if d < 0 {
		return 0, fmt.Errorf("duration %q is negative", s)
	}
	return d, nil
}
