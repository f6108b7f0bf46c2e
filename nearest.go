package main

import (
	"slices"
	"strings"
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
			if d := distance(word, name); d < least {
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
			if d := distance(name, key); d == 1 || d == 2 && len(o.name) > 5 {
				return key
			}
		}
	}
	return ""
}

// distance counts the letters to add, drop, change or swap with a neighbour to
// turn a into b.
func distance(a, b string) int {
	const far = 64
	if len(a) > far || len(b) > far {
		return far
	}
	before, above, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range above {
		above[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := above[j-1]
			if a[i-1] != b[j-1] {
				change++
			}
			row[j] = min(change, above[j]+1, row[j-1]+1)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, above, row = above, row, before
	}
	return above[len(b)]
}
