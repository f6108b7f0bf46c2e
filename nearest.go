package main

import (
	"slices"
	"strings"

	"wavegate/server/policy"
)

// nearest returns the name that somebody who wrote word most likely meant, or
// "": a slip first, then a name that holds the word, then the least different.
// Other words for an option count as names.
func (t table) nearest(word string) string {
	word = strings.ToLower(strings.ReplaceAll(word, "_", "-"))
	best, least := "", len(word)/3+1
	for _, o := range t {
		if o.hidden {
			continue
		}
		for _, name := range append(strings.Fields(o.aka), o.name) {
			if d := policy.Slips(word, name); d < least {
				best, least = o.name, d
			}
		}
	}
	if best != "" && least < 2 || len(word) < 4 {
		return best
	}
	holds := slices.IndexFunc(t, func(o *option) bool { return !o.hidden && !o.retired && strings.Contains(o.name, word) })
	if holds >= 0 {
		return t[holds].name
	}
	return best
}

// nearMiss returns the key that a variable's name misses by a letter or two,
// or "". It is strict, because other programs have variables too.
func (t table) nearMiss(name string) string {
	for _, o := range t {
		for _, key := range o.keys() {
			if d := policy.Slips(name, key); d == 1 || d == 2 && len(o.name) > 5 {
				return key
			}
		}
	}
	return ""
}
