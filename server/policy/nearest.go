package policy

import (
	"fmt"
	"slices"
)

// didYouMean returns " (did you mean …?)" for the known word that is nearest
// to word, or "" where none is near.
func didYouMean(word string, known []string) string {
	best, found := 3, "" // more than two slips is another word
	for _, k := range slices.Sorted(slices.Values(known)) {
		if d := Slips(word, k); d < best && d < len(k) {
			best, found = d, k
		}
	}
	if found == "" {
		return ""
	}
	return fmt.Sprintf(" (did you mean %q?)", found)
}

// longest is the most letters of a word that Slips looks at.
const longest = 64

// Slips counts the typing slips between two words: letters left out, added,
// changed, or swapped with their neighbour. A word of more than 64 letters is
// 64 slips from any other.
func Slips(a, b string) int {
	if len(a) > longest || len(b) > longest {
		return longest
	}
	var before, last, row [longest + 1]int
	for j := range len(b) + 1 {
		last[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			change := 1
			if a[i-1] == b[j-1] {
				change = 0
			}
			row[j] = min(row[j-1]+1, last[j]+1, last[j-1]+change)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], before[j-2]+1)
			}
		}
		before, last = last, row
	}
	return last[len(b)]
}
