package manage

import (
	"net/http"
	"net/url"
	"testing"

	"wavegate/keychain/apikey"
	"wavegate/server/fault"
)

const explainJSON = `{"lines": ["caller: nobody", "  scopes in all: nothing", "access authenticated: any valid credential will do: refuses", "methods: all: passes",
	"decision: no_credential (401)"], "decision": "no_credential (401)"}`

// whyAnswers are those of the API about a question.
func whyAnswers(answer any) map[string]any {
	return map[string]any{
		"POST /v1/auth/explain": answer,
		"GET /v1/auth/users":    `{"users": [{"id": "usr_1", "username": "bob", "email": ""}, {"id": "usr_2", "username": "Cleo", "email": "cleo@example.com"}]}`,
		"GET /v1/auth/keys":     `{"api_keys": [{"id": "key_1", "name": "build server"}]}`,
	}
}

func TestAQuestionLeadsToAnAddressThatCanBeSent(t *testing.T) {
	d := newDesk(t, whyAnswers(explainJSON)).admin()
	form := d.get("why").want(http.StatusOK, `<option value="usr_1">bob</option>`, `<option value="cleo@example.com">Cleo</option>`, `<option value="key_1">build server</option>`).
		without("How it is decided").form("why")
	if got := d.made("POST"); got != nil {
		t.Fatalf("looking made %v", got)
	}
	form.Set("request", "POST /v1/x?y=1")
	form.Set("as", "cleo@example.com")
	d.post("why", form).leads("why?as=cleo%40example.com&request=POST+%2Fv1%2Fx%3Fy%3D1")
	d.get("why?as=cleo%40example.com&request=POST+%2Fv1%2Fx").want(http.StatusOK,
		"Refused", "401 no_credential", "Nobody is allowed in without a credential.", `value="POST /v1/x"`, `value="cleo@example.com"`,
		`class="stops"`, `class="passes"`, `class="says within"`, "Scopes in all: nothing", `{&#34;as&#34;: &#34;cleo@example.com&#34;, &#34;request&#34;: &#34;POST /v1/x&#34;}`,
	)
	if _, body := d.last("POST"); body != `{"as":"cleo@example.com","request":"POST /v1/x"}` {
		t.Errorf("asked %s", body)
	}
}

func TestWhatIsWrongWithAQuestionStandsBesideIt(t *testing.T) {
	d := newDesk(t, whyAnswers(&fault.Error{
		Status: http.StatusBadRequest, Code: "invalid_request", Fields: []fault.Field{{Field: "as", Message: "is no API key that there is"}},
	})).admin()
	d.post("why", url.Values{"request": {"GET /x"}, "as": {"key_none"}}).want(http.StatusOK, "This is no API key that there is.", `value="key_none"`, `value="GET /x"`).without("How it is decided")
	d.post("why", url.Values{"request": {"GET /x"}, "as": {"key_none"}, "_preview": {"as"}}).want(http.StatusOK, "This is no API key that there is.").without("<option")
}

// A key that somebody puts into a question by mistake is asked about once, refused, and
// comes neither into the page nor into an address.
func TestAKeyInAQuestionIsForgotten(t *testing.T) {
	key := apikey.Generate("wave", apikey.Live, false)
	d := newDesk(t, whyAnswers(&fault.Error{
		Status: http.StatusBadRequest, Code: "invalid_request", Fields: []fault.Field{{Field: "as", Message: "holds an API key: write its ID"}},
	})).admin()
	for _, form := range []url.Values{
		{"request": {"GET /x"}, "as": {key}}, {"request": {"GET /x"}, "as": {key}, "_preview": {"as"}}, {"request": {"GET /x?key=" + key}, "as": {" " + key + " "}},
	} {
		page := d.post("why", form).want(http.StatusOK, "holds an API key: write its ID").without(key, key[:20])
		if to := page.Header.Get("Location"); to != "" {
			t.Errorf("leads to %s", to)
		}
	}
	d.get("why?request=GET+%2Fx&as="+key).want(http.StatusOK, "holds an API key").without(key)
}
