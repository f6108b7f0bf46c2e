package server

import (
	"strings"
	"testing"

	"wavegate/keychain/apikey"
)

// TestManualOfAPIKeysIsTrue holds docs/api-keys.md to the code: its calls, codes,
// import lines and the scanner's expression.
func TestManualOfAPIKeysIsTrue(t *testing.T) {
	page := manual(t, "api-keys.md")
	for _, rt := range new(Server).routes() {
		if strings.Contains(rt.path, "/keys") && !strings.HasSuffix(rt.path, "import") || strings.Contains(rt.path, "api-keys") || strings.Contains(rt.path, "temp-key") {
			if last := rt.path[strings.LastIndexByte(rt.path, '/'):]; !strings.Contains(page, last) {
				t.Errorf("%s %s is not named", rt.method, rt.path)
			}
		}
	}
	for _, code := range []string{
		errNoCredential.Code, errWrongAPIKey.Code, errOps.Code, errBudget.Code, errBoundedMaker.Code, errInsufficientRole.Code, errIPNotAllowed.Code,
		errOnlyKeys.Code, errNoKeyThere.Code, errKeyNotActive.Code, errKeyConflict.Code, errChanged.Code, errBodyTooLarge.Code, errContentType.Code, errReused.Code,
		errRate.Code, errLockedOut.Code, errKeyStore.Code, keyValid, keyUnknown, keyRevoked, keyExpired, keyLacks, keyElsewhere,
	} {
		if !strings.Contains(page, "`"+code+"`") {
			t.Errorf("the code %s is not named", code)
		}
	}
	if !strings.Contains(page, "\n"+apikey.Pattern("wave")+"\n") {
		t.Errorf("the scanner's expression is not %s", apikey.Pattern("wave"))
	}
	for field := range fieldsOf(&keyRequest{}) {
		if !strings.Contains(page, "`"+field+"`") {
			t.Errorf("the field %s is not named", field)
		}
	}
	_, lines, _ := strings.Cut(page, "```json\n")
	lines, _, _ = strings.Cut(lines, "```")
	if list, err := apikey.ParseImport(strings.NewReader(lines)); err != nil || len(list) != 2 {
		t.Errorf("the lines to import: %d keys, %v", len(list), err)
	}
}
