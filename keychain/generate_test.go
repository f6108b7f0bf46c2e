package keychain

import (
	"strings"
	"testing"

	"golang.org/x/crypto/bcrypt"
)

// The bounds are about six standard deviations from the mean: an honest
// generator fails once in a billion runs, modulo bias at once.
func TestGeneratorsAreUnbiasedByChiSquare(t *testing.T) {
	for _, alphabet := range []string{idText, secretText, personText, bcryptText} {
		const n = 400_000
		var counts [256]int
		for _, c := range []byte(randomText(alphabet, n)) {
			counts[c]++
		}
		expected := float64(n) / float64(len(alphabet))
		chi, total := 0.0, 0
		for _, c := range []byte(alphabet) {
			d := float64(counts[c]) - expected
			chi += d * d / expected
			total += counts[c]
		}
		if total != n {
			t.Errorf("%d characters are not of the alphabet", n-total)
		}
		if df := float64(len(alphabet) - 1); chi > df+70 {
			t.Errorf("alphabet of %d: chi-square %.0f with %.0f degrees of freedom", len(alphabet), chi, df)
		}
	}
}

// The same by position, and between neighbours: no place is fixed.
func TestGeneratedTextsDifferEverywhere(t *testing.T) {
	var seen [secretLen]map[byte]bool
	for i := range seen {
		seen[i] = map[byte]bool{}
	}
	all := map[string]bool{}
	for range 2000 {
		text := randomText(secretText, secretLen)
		if len(text) != secretLen || all[text] {
			t.Fatalf("%q has the wrong length or came up twice", text)
		}
		all[text] = true
		for i := range secretLen {
			seen[i][text[i]] = true
		}
	}
	for i, chars := range seen {
		if len(chars) != len(secretText) {
			t.Errorf("place %d had %d different characters, want %d", i, len(chars), len(secretText))
		}
	}
}

func TestStandInIsAHashOfItsCostThatNothingMatches(t *testing.T) {
	for cost := minCost; cost <= maxCost; cost++ {
		hash := unmatchable(cost)
		if reason := hashProblem(hash); reason != "" || costOf(hash) != cost {
			t.Errorf("cost %d: %s", cost, strings.ReplaceAll(reason, hash, "HASH"))
		}
		if got, err := bcrypt.Cost([]byte(hash)); err != nil || got != cost {
			t.Errorf("bcrypt sees cost %d, %v, want %d", got, err, cost)
		}
	}
	if compareBcrypt(unmatchable(minCost), "secret") {
		t.Error("a stand-in was matched")
	}
}
