package apikey_test

import (
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"
	"testing"
	"testing/iotest"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"wavegate/keychain/apikey"
)

// hashText is the SHA-256 of a key in hex.
func hashText(key string) string { return fmt.Sprintf("%x", sha256.Sum256([]byte(key))) }

func TestParseImport(t *testing.T) {
	sum := sha256.Sum256([]byte("sk_two"))
	text := `{"hash":"` + hashText("sk_one") + `"}` + "\r\n\n" +
		`{"hash":"` + base64.StdEncoding.EncodeToString(sum[:]) + `","encoding":"base64","algorithm":"sha256","name":"two","description":"a\nb",` +
		`"environment":"test","role":"viewer","scopes":["streams:read"],"allowed_ips":["192.0.2.1","2001:db8::/32","::ffff:10.0.0.0/104"],` +
		`"metadata":{"a": {"b": 1}},"rate_limit_tier":"pro","ops_limit":10,"expires_at":"2030-01-31T01:00:00.1234+01:00","prefix":"sk_t","owner":"sub:ann"}` + "\n" +
		`{"hash":"` + strings.ToUpper(hashText("sk_three")) + `","name":null,"scopes":null,"ops_limit":null}`
	got, err := apikey.ParseImport(strings.NewReader(text))
	must(t, err)
	want := []apikey.Imported{
		{Line: 1, Record: apikey.Record{Hash: sha256.Sum256([]byte("sk_one")), HashBy: "sha256", Environment: apikey.Live}},
		{Line: 3, Record: apikey.Record{
			Hash: sum, HashBy: "sha256", Name: "two", Description: "a\nb", Environment: apikey.Test, Role: "viewer", Scopes: []string{"streams:read"},
			AllowedIPs: []netip.Prefix{netip.MustParsePrefix("192.0.2.1/32"), netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("10.0.0.0/8")},
			Metadata:   []byte(`{"a":{"b":1}}`), Tier: "pro", OpsLimit: 10, Prefix: "sk_t", Owner: "sub:ann",
			ExpiresAt: time.Date(2030, 1, 31, 0, 0, 0, 123_000_000, time.UTC),
		}},
		{Line: 4, Record: apikey.Record{Hash: sha256.Sum256([]byte("sk_three")), HashBy: "sha256", Environment: apikey.Live}},
	}
	if diff := cmp.Diff(want, got, sameRecord); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestImportedKeyIsFoundByItsSecret(t *testing.T) {
	b := newBench(t, nil)
	list, err := apikey.ParseImport(strings.NewReader(`{"hash":"` + hashText("sk_live_0815") + `","name":"old one"}`))
	must(t, err)
	r := list[0].Record
	r.ID, r.Version = apikey.NewID(), 1
	b.store.put(r)
	if k := b.lookup(t, "sk_live_0815"); k.Record().Name != "old one" {
		t.Errorf("found was %v", k)
	}
}

func TestParseImportNamesEveryProblem(t *testing.T) {
	good := `"hash":"` + hashText("k") + `"`
	tests := []struct{ line, field, want string }{
		{`{`, "", "not one JSON object"},
		{`[]`, "", "not one JSON object"},
		{`"x"`, "", "not one JSON object"},
		{`{"hash":}`, "", "not one JSON object"},
		{`{` + good + `} {}`, "", "not one JSON object"},
		{`{` + good + `}x`, "", "not one JSON object"},
		{`{}`, "hash", "missing"},
		{`{"hash":5}`, "hash", "string"},
		{`{"hash":"00"}`, "hash", "32 bytes"},
		{`{"hash":"` + strings.Repeat("g", 64) + `"}`, "hash", "32 bytes"},
		{`{"hash":"AAAA","encoding":"base64"}`, "hash", "32 bytes"},
		{`{` + good + `,"encoding":"base32"}`, "encoding", "hex or base64"},
		{`{` + good + `,"algorithm":"bcrypt"}`, "algorithm", "salted and slow"},
		{`{` + good + `,"algorithm":"Argon2id"}`, "algorithm", "salted and slow"},
		{`{` + good + `,"algorithm":"hmac-sha256"}`, "algorithm", "keyed hash"},
		{`{` + good + `,"algorithm":"md5"}`, "algorithm", "sha256 of the whole key alone"},
		{`{` + good + `,"hash":"` + hashText("other") + `"}`, "hash", "given twice"},
		{`{` + good + `,"key":"sk_secret"}`, "key", "not known"},
		{`{` + good + `,"Name":"x"}`, "Name", "not known"},
		{`{` + good + `,"name":["x"]}`, "name", "string"},
		{`{` + good + `,"name":"` + strings.Repeat("ä", 201) + `"}`, "name", "200 characters"},
		{`{` + good + `,"name":"a\u0007"}`, "name", "control character"},
		{`{` + good + `,"description":"` + strings.Repeat("x", 2001) + `"}`, "description", "2000 characters"},
		{`{` + good + `,"environment":"prod"}`, "environment", "live, test, dev or trial"},
		{`{` + good + `,"role":1}`, "role", "string"},
		{`{` + good + `,"scopes":"a"}`, "scopes", "list of strings"},
		{`{` + good + `,"scopes":["a","a b"]}`, "scopes", "number 2"},
		{`{` + good + `,"scopes":[""]}`, "scopes", "empty"},
		{`{` + good + `,"scopes":["a"` + strings.Repeat(`,"a"`, 200) + `]}`, "scopes", "more than 200"},
		{`{` + good + `,"allowed_ips":["nowhere"]}`, "allowed_ips", "no network"},
		{`{` + good + `,"allowed_ips":["10.0.0.1/8"]}`, "allowed_ips", "beyond its prefix"},
		{`{` + good + `,"allowed_ips":["fe80::1%eth0"]}`, "allowed_ips", "no network"},
		{`{` + good + `,"allowed_ips":["::ffff:0:0/95"]}`, "allowed_ips", "IPv4"},
		{`{` + good + `,"metadata":[1]}`, "metadata", "JSON object"},
		{`{` + good + `,"metadata":{"a":"` + strings.Repeat("x", 16<<10) + `"}}`, "metadata", "16384 bytes"},
		{`{` + good + `,"rate_limit_tier":{}}`, "rate_limit_tier", "string"},
		{`{` + good + `,"ops_limit":-1}`, "ops_limit", "whole number"},
		{`{` + good + `,"ops_limit":1.5}`, "ops_limit", "whole number"},
		{`{` + good + `,"expires_at":"tomorrow"}`, "expires_at", "RFC 3339"},
		{`{` + good + `,"expires_at":1700000000}`, "expires_at", "RFC 3339"},
		{`{` + good + `,"owner":"ann"}`, "owner", "sub:SUBJECT"},
		{`{` + good + `,"owner":"sub:"}`, "owner", "sub:SUBJECT"},
		{`{` + good + `,"owner":"trial"}`, "owner", "sub:SUBJECT"},
		{`{` + good + `,"prefix":"k"}`, "prefix", "whole key"},
		{`{` + good + `,"name":"` + strings.Repeat("x", 256<<10) + `"}`, "", "longer than 262144 bytes"},
	}
	for _, tt := range tests {
		problems := importProblems(t, "\n"+tt.line)
		if len(problems) != 1 || problems[0].Line != 2 || problems[0].Field != tt.field || !strings.Contains(problems[0].Message, tt.want) {
			t.Errorf("%.100s: problems are %+v, want one of %q with %q", tt.line, problems, tt.field, tt.want)
		}
	}
}

func importProblems(t *testing.T, text string) []apikey.ImportProblem {
	t.Helper()
	list, err := apikey.ParseImport(strings.NewReader(text))
	problems, ok := errors.AsType[*apikey.ImportError](err)
	if !ok || list != nil {
		t.Fatalf("%.100s: %d keys and error %v, want an ImportError alone", text, len(list), err)
	}
	return problems.Problems
}

func TestParseImportNamesAllProblemsAtOnce(t *testing.T) {
	_, err := apikey.ParseImport(strings.NewReader(
		`{"hash":"` + hashText("a") + `"}` + "\n" +
			`{"hash":"zz","name":1,"role":2,"surprise":3}` + "\n" +
			`{"hash":"` + hashText("a") + `","environment":"x"}` + "\nnothing\n"))
	want := `line 2: name: has to be a string
line 2: role: has to be a string
line 2: surprise: is not known
line 2: hash: has to be 32 bytes in its encoding (64 digits of hex, 44 characters of base64)
line 3: environment: has to be live, test, dev or trial
line 3: hash: is that of line 1
line 4: is not one JSON object`
	if err == nil || err.Error() != want {
		t.Errorf("error is\n%v\nwant\n%s", err, want)
	}
}

func TestImportErrorsRepeatNoValue(t *testing.T) {
	const canary = "sk_canary_secret"
	for _, field := range []string{"hash", "algorithm", "encoding", "environment", "expires_at", "owner", "prefix", "key", "scopes", "allowed_ips"} {
		for _, v := range []string{`"` + canary + `"`, `["` + canary + `"]`, `["` + canary + ` x"]`} {
			_, err := apikey.ParseImport(strings.NewReader(`{"` + field + `":` + v + `}`))
			if err == nil || strings.Contains(err.Error(), "canary") {
				t.Errorf("%s: error is %v, want one without the value", field, err)
			}
		}
	}
}

func TestImportIsBounded(t *testing.T) {
	one := importProblems(t, strings.Repeat("{}\n", 10_000))
	if len(one) != 100 {
		t.Errorf("%d problems are named, want 100", len(one))
	}
	_, err := apikey.ParseImport(strings.NewReader(strings.Repeat("{}\n", 101)))
	if err == nil || !strings.HasSuffix(err.Error(), "and more: mend these first") {
		t.Errorf("error is %v, want one that says that there is more", err)
	}
	var b strings.Builder
	for i := range apikey.MaxImport {
		fmt.Fprintf(&b, "{\"hash\":\"%064x\"}\n", i)
	}
	list, err := apikey.ParseImport(strings.NewReader(b.String()))
	must(t, err)
	if len(list) != apikey.MaxImport {
		t.Errorf("%d keys were read", len(list))
	}
	fmt.Fprintf(&b, "{\"hash\":\"%064x\"}\n", apikey.MaxImport)
	if p := importProblems(t, b.String()); len(p) != 1 || !strings.Contains(p[0].Message, "more than 10000 keys") {
		t.Errorf("problems are %v", p)
	}
	long := importProblems(t, `{"`+strings.Repeat("n", 1000)+`\n":1,"hash":"`+hashText("k")+`"}`)
	if len(long) != 1 || len(long[0].Field) > 50 {
		t.Errorf("problems are %v", long)
	}
}

func TestImportOfNothingIsAProblem(t *testing.T) {
	for _, text := range []string{"", "\n \n"} {
		if p := importProblems(t, text); len(p) != 1 || !strings.Contains(p[0].Error(), "no key to import") {
			t.Errorf("problems are %v", p)
		}
	}
}

func TestImportThatCannotBeReadSaysWhy(t *testing.T) {
	broken := errors.New("connection reset")
	_, err := apikey.ParseImport(io.MultiReader(strings.NewReader(`{"hash":"`+hashText("k")+"\"}\n"), iotest.ErrReader(broken)))
	wantErr(t, err, broken)
}

func TestParseNetworkReadsWhatItWrites(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		raw := rapid.SliceOfN(rapid.Byte(), 16, 16).Draw(t, "address")
		ip := netip.AddrFrom16([16]byte(raw))
		if rapid.Bool().Draw(t, "v4") {
			ip = netip.AddrFrom4([4]byte(raw))
		}
		want, err := ip.Unmap().Prefix(rapid.IntRange(0, ip.Unmap().BitLen()).Draw(t, "bits"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := apikey.ParseNetwork(want.String())
		if err != nil || got != want {
			t.Fatalf("%v was read as %v: %v", want, got, err)
		}
		if one, err := apikey.ParseNetwork(ip.String()); err != nil || !one.IsSingleIP() || one.Addr() != ip.Unmap() {
			t.Fatalf("%v was read as %v: %v", ip, one, err)
		}
	})
}

func FuzzParseImport(f *testing.F) {
	f.Add(`{"hash":"` + hashText("k") + `","metadata":{"a":1},"allowed_ips":["::1"]}`)
	f.Add("{}\n[]\n{\"hash\":null,\"x\":[[[")
	f.Fuzz(func(t *testing.T, text string) {
		list, err := apikey.ParseImport(strings.NewReader(text))
		if (err == nil) == (len(list) == 0) {
			t.Fatalf("%d keys and error %v", len(list), err)
		}
		for _, i := range list {
			r := i.Record
			if r.HashBy != apikey.ImportedSHA256 || !r.Environment.Valid() || r.ID != "" || i.Line < 1 ||
				len(r.Metadata) > apikey.MaxMetadata || len(r.Scopes) > apikey.MaxScopes || r.OpsLimit < 0 {
				t.Fatalf("read was %+v", i)
			}
		}
	})
}
