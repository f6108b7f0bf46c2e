package portal

import (
	"bytes"
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"golang.org/x/net/html"
)

// everyView has one of each page of the portal: TestEveryPageIsTriedWithHostileText
// fails where one is missing.
var everyView = []View{
	AppFormPage{},
	AppKindsPage{},
	AppMadePage{},
	AppPage{},
	AppRotatePage{},
	AppTryPage{},
	AppsPage{},
	AccessKeyFormPage{},
	AccessKeyMadePage{},
	AccessKeysPage{},
	AuditPage{},
	AuditVerifyPage{},
	ConfirmPage{},
	ConnectedPage{},
	DeliveryPage{},
	HealthPage{},
	KeyFormPage{},
	KeyMadePage{},
	KeyPage{},
	KeyRotatePage{},
	KeysPage{},
	LockoutsPage{},
	OverviewPage{},
	PolicyPage{},
	ProfilePage{},
	SessionsPage{},
	SigningKeysPage{},
	TroublePage{},
	UsagePage{},
	WebhookFormPage{},
	WebhookMadePage{},
	WebhookPage{},
	WebhookRotatePage{},
	WebhooksPage{},
	UserPage{},
	UsersPage{},
	WhyPage{},
}

// addresses are the fields that whoever serves a page fills with a path of this
// server, and never with what somebody typed.
var addresses = map[string]bool{
	"Form.Action": true, "Button.URL": true, "Sort.Path": true, "Paging.First": true, "Paging.Next": true,
	"Attention.URL": true, "Chart.CSV": true, "Choice.URL": true, "Share.URL": true, "Tile.URL": true, "UsagePage.Clear": true,
}

// harmless is what the others are compared with.
const harmless = "harmless"

// hostile are texts as somebody might give to a key, an app or a browser.
var hostile = map[string]string{
	"markup":       `<script>alert(1)</script>"'><img src=x onerror=alert(1)><svg/onload=alert(1)>`,
	"attribute":    `x" onmouseover="alert(1)" autofocus onfocus='alert(1)' style=position:fixed `,
	"end of title": `</title></textarea></select></style></noscript>--><iframe src=//evil.example>`,
	"script":       `javascript:alert(document.domain)//`,
	"hidden":       "\tjava\nscript:alert(1)",
	"data":         `data:text/html,<script>alert(1)</script>`,
	"other site":   `//evil.example/`,
	"template":     `{{.Person.May}}{{define "main"}}{{end}}${alert(1)}`,
	"turned":       "gpj.\u202eexe\u2066\u2069\u200f",
	"control":      "a\x00b\x1b[31mc\x7f\u2028\ufeff",
	"no UTF-8":     "a\xff\xfe<b>\xc0\xbc",
	"long":         strings.Repeat("Wörk<b>", 1430), // 10,000 characters
}

// A filler fills every field that it can reach.
type filler struct {
	text  string
	yes   bool // what booleans are
	depth int
}

var momentInTime = time.Date(2026, 3, 9, 8, 12, 40, 0, time.UTC)

func (f filler) fill(v reflect.Value, name string) {
	if f.depth++; f.depth > 12 || !v.CanSet() {
		return
	}
	switch v.Interface().(type) {
	case time.Time:
		v.Set(reflect.ValueOf(momentInTime))
		return
	case json.RawMessage:
		text, err := json.Marshal(map[string]string{f.text: f.text})
		if err != nil {
			panic(err) // strings always become JSON
		}
		v.SetBytes(text)
		return
	}
	switch v.Kind() {
	case reflect.String:
		v.SetString(f.text)
		if addresses[name] {
			v.SetString("/somewhere?a=b&c=d")
		}
	case reflect.Bool:
		v.SetBool(f.yes)
	case reflect.Int, reflect.Int8, reflect.Int16, reflect.Int32, reflect.Int64:
		v.SetInt(7)
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		v.SetUint(7)
	case reflect.Float32, reflect.Float64:
		v.SetFloat(7)
	case reflect.Pointer, reflect.Slice, reflect.Array, reflect.Map, reflect.Struct, reflect.Interface:
		f.fillIn(v, name)
	}
}

// fillIn fills what holds others.
func (f filler) fillIn(v reflect.Value, name string) {
	switch v.Kind() {
	case reflect.Pointer:
		v.Set(reflect.New(v.Type().Elem()))
		f.fill(v.Elem(), name)
	case reflect.Slice:
		v.Set(reflect.MakeSlice(v.Type(), 2, 2))
		for i := range v.Len() {
			f.fill(v.Index(i), name)
		}
	case reflect.Array:
		for i := range v.Len() {
			f.fill(v.Index(i), name)
		}
	case reflect.Map:
		key, value := reflect.New(v.Type().Key()).Elem(), reflect.New(v.Type().Elem()).Elem()
		f.fill(key, name)
		f.fill(value, name)
		v.Set(reflect.MakeMap(v.Type()))
		v.SetMapIndex(key, value)
	case reflect.Struct:
		for i := range v.NumField() {
			f.fill(v.Field(i), v.Type().Name()+"."+v.Type().Field(i).Name)
		}
	case reflect.Interface:
		if v.NumMethod() == 0 {
			v.Set(reflect.ValueOf(f.text))
		}
	}
}

// filled returns a view like v with every field filled; the fields of its form that
// its page has are names, each with what was typed and a complaint.
func (f filler) filled(v View, names []string) View {
	p := reflect.New(reflect.TypeOf(v)).Elem()
	f.fill(p, "")
	if form := p.FieldByName("Form"); form.IsValid() {
		values, complaints := map[string][]string{}, map[string]string{}
		for _, name := range append(names, f.text) {
			values[name], complaints[name] = []string{f.text}, f.text
		}
		form.FieldByName("Values").Set(reflect.ValueOf(values))
		form.FieldByName("Errors").Set(reflect.ValueOf(complaints))
	}
	return p.Interface().(View)
}

// page renders a view in a frame that is filled too.
func (f filler) page(t *testing.T, p *Pages, v View, names []string) string {
	t.Helper()
	var frame Frame
	f.fill(reflect.ValueOf(&frame).Elem(), "")
	frame.Base, frame.SignOut, frame.Person.Admin = "/gate/_portal/", "/gate/_auth/logout", true
	var b bytes.Buffer
	if err := p.Show(&b, frame, f.filled(v, names)); err != nil {
		t.Fatal(err)
	}
	return b.String()
}

func parsed(t *testing.T, page string) *html.Node {
	t.Helper()
	doc, err := html.Parse(strings.NewReader(page))
	if err != nil {
		t.Fatal(err)
	}
	return doc
}

// shape is a page without its texts: each element and the names of its attributes.
func shape(doc *html.Node) []string {
	var list []string
	for n := range doc.Descendants() {
		if n.Type == html.CommentNode {
			list = append(list, "comment")
		}
		if n.Type != html.ElementNode {
			continue
		}
		var line strings.Builder
		line.WriteString(n.Data)
		for _, a := range n.Attr {
			line.WriteString(" " + a.Key)
		}
		list = append(list, line.String())
	}
	return list
}

// fieldNames are the names of the fields of a page.
func fieldNames(doc *html.Node) []string {
	var names []string
	for n := range doc.Descendants() {
		for _, a := range n.Attr {
			if a.Key == "name" && slices.Contains([]string{"input", "select", "textarea"}, n.Data) && !strings.HasPrefix(a.Val, "_") && a.Val != harmless {
				names = append(names, a.Val)
			}
		}
	}
	return names
}

// dangers are what no page of ours may have, whatever its views say.
func dangers(doc *html.Node) []string {
	var list []string
	for n := range doc.Descendants() {
		if n.Type != html.ElementNode {
			continue
		}
		if n.Data == "style" || n.Data == "iframe" || n.Data == "object" || n.Data == "base" || n.Data == "script" && n.FirstChild != nil {
			list = append(list, "an element "+n.Data)
		}
		for _, a := range n.Attr {
			if strings.HasPrefix(a.Key, "on") || a.Key == "style" || a.Key == "srcdoc" || a.Key == "http-equiv" {
				list = append(list, "an attribute "+a.Key)
			}
			if slices.Contains([]string{"href", "src", "action", "formaction", "data", "poster", "ping", "srcset"}, a.Key) && !isHere(a.Val) {
				list = append(list, fmt.Sprintf("%s %s=%q", n.Data, a.Key, a.Val))
			}
		}
	}
	return list
}

// isHere reports whether an address stays on this server. "#ZgotmplZ" is what
// html/template puts in the place of an address that runs something.
func isHere(address string) bool {
	return strings.HasPrefix(address, "#") || localTarget(strings.SplitN(address, "#", 2)[0])
}

// Whatever somebody writes into a name, a description or a User-Agent, the page has
// the very elements and attributes that it has with harmless letters.
func TestHostileTextIsTextOnEveryPage(t *testing.T) {
	p := newPages(t, "/gate/")
	for _, v := range everyView {
		t.Run(reflect.TypeOf(v).Name(), func(t *testing.T) {
			for _, yes := range []bool{true, false} {
				plain := filler{text: harmless, yes: yes}
				names := fieldNames(parsed(t, plain.page(t, p, v, nil)))
				want := shape(parsed(t, plain.page(t, p, v, names)))
				for name, text := range hostile {
					doc := parsed(t, filler{text: text, yes: yes}.page(t, p, v, names))
					if diff := cmp.Diff(want, shape(doc)); diff != "" {
						t.Errorf("%s changes the page (-want +got):\n%s", name, diff)
					}
					for _, danger := range dangers(doc) {
						t.Errorf("%s: the page has %s", name, danger)
					}
				}
			}
		})
	}
}

// The page that holds a long form carries fields of any name and value.
func TestHostileTextIsTextOnThePageThatHoldsAForm(t *testing.T) {
	p := newPages(t, "/gate/")
	page := func(text string) *html.Node {
		var b bytes.Buffer
		v := HoldOnPage{Action: "/gate/_portal/keys/new", SignIn: "/gate/_auth/login?next=%2F", Fields: map[string][]string{text: {text, text}, "name": {text}}}
		if err := p.HoldOn(&b, v); err != nil {
			t.Fatal(err)
		}
		return parsed(t, b.String())
	}
	want := shape(page(harmless))
	for name, text := range hostile {
		doc := page(text)
		if diff := cmp.Diff(want, shape(doc)); diff != "" {
			t.Errorf("%s changes the page (-want +got):\n%s", name, diff)
		}
		for _, danger := range dangers(doc) {
			t.Errorf("%s: the page has %s", name, danger)
		}
	}
}

// Addresses that would leave the server are not taken by the page that holds a form.
func TestTheHeldFormStaysOnThisServer(t *testing.T) {
	p := newPages(t, "/gate/")
	for name, text := range hostile {
		var b bytes.Buffer
		if err := p.HoldOn(&b, HoldOnPage{Action: text, SignIn: text}); err != nil {
			t.Fatal(err)
		}
		for n := range parsed(t, b.String()).Descendants() {
			for _, a := range n.Attr {
				if (a.Key == "action" || a.Key == "href") && a.Val != "" && !isHere(a.Val) {
					t.Errorf("%s: %s=%q", name, a.Key, a.Val)
				}
			}
		}
	}
}

func TestEveryPageIsTriedWithHostileText(t *testing.T) {
	var want, got []string
	for _, v := range everyView {
		got = append(got, reflect.TypeOf(v).Name())
	}
	for _, file := range sourceFiles(t) {
		for _, decl := range file.Decls {
			f, ok := decl.(*ast.FuncDecl)
			if ok && f.Recv != nil && f.Name.Name == "page" {
				if of, ok := f.Recv.List[0].Type.(*ast.Ident); ok {
					want = append(want, of.Name)
				}
			}
		}
	}
	slices.Sort(want)
	slices.Sort(got)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("everyView has not one of each type with a method page (-want +got):\n%s", diff)
	}
}

// sourceFiles are the files of the package, without its tests.
func sourceFiles(t *testing.T) []*ast.File {
	t.Helper()
	names, err := filepath.Glob("*.go")
	if err != nil {
		t.Fatal(err)
	}
	var files []*ast.File
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		files = append(files, file)
	}
	return files
}
