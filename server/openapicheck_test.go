package server

import (
	"encoding/json"
	"fmt"
	"maps"
	"math"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"
)

// A describedAPI is the description of the API, read for tests.
type describedAPI struct {
	Paths      map[string]map[string]json.RawMessage `json:"paths"`
	Components struct {
		Schemas   map[string]schema          `json:"schemas"`
		Responses map[string]operationAnswer `json:"responses"`
	} `json:"components"`
}

// An operation is what is described of one call, as far as tests look at it.
type operation struct {
	ID        string                     `json:"operationId"`
	Responses map[string]operationAnswer `json:"responses"`
}

type parameter struct {
	Name     string `json:"name"`
	In       string `json:"in"`
	Required bool   `json:"required"`
}

type operationAnswer struct {
	Ref     string `json:"$ref"`
	Content map[string]struct {
		Schema schema `json:"schema"`
	} `json:"content"`
}

// A schema is the part of JSON Schema that the description uses.
type schema = map[string]any

func readAPI(t *testing.T) *describedAPI {
	t.Helper()
	var api describedAPI
	if err := json.Unmarshal(openAPIFile, &api); err != nil {
		t.Fatal(err)
	}
	return &api
}

// operation returns the operation of a method and a path of the description.
func (api *describedAPI) operation(t *testing.T, method, path string) (op operation, found bool) {
	t.Helper()
	raw, found := api.Paths[path][strings.ToLower(method)]
	if found {
		if err := json.Unmarshal(raw, &op); err != nil {
			t.Fatalf("%s %s: %v", method, path, err)
		}
	}
	return op, found
}

// of finds the operation that a request is about: that of the path with the
// fewest {…}.
func (api *describedAPI) of(t *testing.T, method, path string) (op operation, found bool) {
	t.Helper()
	best, fewest := "", math.MaxInt
	for described := range api.Paths {
		n := strings.Count(described, "{")
		if _, ok := (route{method, described, nil}).matches(path); ok && n < fewest {
			best, fewest = described, n
		}
	}
	return api.operation(t, method, best)
}

// checkAnswer fails the test where an answer is not what the description says.
func (api *describedAPI) checkAnswer(t *testing.T, a answer) {
	t.Helper()
	if a.StatusCode == http.StatusMethodNotAllowed {
		return // what is not there is not described
	}
	call := fmt.Sprintf("%s %s %d", a.Request.Method, a.Request.URL.Path, a.StatusCode)
	op, found := api.of(t, a.Request.Method, a.Request.URL.Path)
	described, ok := op.Responses[fmt.Sprint(a.StatusCode)]
	if !found || !ok && a.StatusCode < 400 {
		t.Errorf("%s is not described", call)
		return
	}
	if !ok {
		described = api.Components.Responses[strings.TrimPrefix(op.Responses["default"].Ref, "#/components/responses/")]
	}
	kind, _, _ := strings.Cut(a.Header.Get("Content-Type"), ";")
	content, ok := described.Content[kind]
	switch {
	case len(described.Content) == 0 && a.body == "":
	case !ok:
		t.Errorf("%s: content %q is not described", call, kind)
	case kind == "application/json":
		for _, problem := range api.problems(content.Schema, decoded(t, a.body), "answer") {
			t.Errorf("%s: %s\n%s", call, problem, a.body)
		}
	}
}

func decoded(t *testing.T, text string) (v any) {
	t.Helper()
	if err := json.Unmarshal([]byte(text), &v); err != nil {
		t.Errorf("%q: %v", text, err)
	}
	return v
}

// resolve follows a reference.
func (api *describedAPI) resolve(s schema) schema {
	if ref, ok := s["$ref"].(string); ok {
		return api.Components.Schemas[strings.TrimPrefix(ref, "#/components/schemas/")]
	}
	return s
}

// problems says how a value differs from a schema. What is missing because it is
// optional is no problem; what is there without being described is one.
func (api *describedAPI) problems(s schema, v any, at string) []string {
	s = api.resolve(s)
	if options, ok := s["anyOf"].([]any); ok {
		fits := func(one any) bool { return len(api.problems(mapOf(one), v, at)) == 0 }
		if slices.ContainsFunc(options, fits) {
			return nil
		}
		return []string{at + " is none of what is described"}
	}
	if types := typesOf(s); types != nil && !slices.Contains(types, typeOf(v, types)) {
		return []string{fmt.Sprintf("%s is %s, described is %v", at, typeOf(v, types), s["type"])}
	}
	if allowed, ok := s["enum"].([]any); ok && !slices.Contains(allowed, v) {
		return []string{fmt.Sprintf("%s is %v, which is not one of %v", at, v, allowed)}
	}
	return api.partProblems(s, v, at)
}

// partProblems looks into a value whose type is right.
func (api *describedAPI) partProblems(s schema, v any, at string) (all []string) {
	switch v := v.(type) {
	case string:
		if _, err := time.Parse(time.RFC3339Nano, v); s["format"] == "date-time" && err != nil {
			return []string{fmt.Sprintf("%s is %q, which is no time", at, v)}
		}
	case []any:
		for i, item := range v {
			all = append(all, api.problems(mapOf(s["items"]), item, fmt.Sprintf("%s[%d]", at, i))...)
		}
	case map[string]any:
		return api.objectProblems(s, v, at)
	}
	return all
}

func (api *describedAPI) objectProblems(s schema, v map[string]any, at string) (all []string) {
	properties := mapOf(s["properties"])
	required, _ := s["required"].([]any)
	for _, name := range required {
		if _, ok := v[name.(string)]; !ok {
			all = append(all, fmt.Sprintf("%s lacks %s", at, name))
		}
	}
	for name, value := range v {
		more, described := properties[name]
		if !described {
			more = s["additionalProperties"]
		}
		if more == false {
			all = append(all, fmt.Sprintf("%s.%s is not described", at, name))
			continue
		}
		all = append(all, api.problems(mapOf(more), value, at+"."+name)...)
	}
	return all
}

func typesOf(s schema) (types []string) {
	switch t := s["type"].(type) {
	case string:
		types = []string{t}
	case []any:
		for _, one := range t {
			types = append(types, one.(string))
		}
	}
	return types
}

// typeOf is the type of a value in JSON Schema: whole numbers are integers where
// that is among the types that are wanted.
func typeOf(v any, wanted []string) string {
	switch v := v.(type) {
	case nil:
		return "null"
	case bool:
		return "boolean"
	case string:
		return "string"
	case []any:
		return "array"
	case map[string]any:
		return "object"
	case float64:
		if v == math.Trunc(v) && slices.Contains(wanted, "integer") {
			return "integer"
		}
	}
	return "number"
}

// unknownKeywords names what stands in a schema and is neither understood by
// problems nor without meaning for it.
func unknownKeywords(s schema, at string) (all []string) {
	if s == nil {
		return nil
	}
	understood := []string{
		"$ref", "anyOf", "type", "enum", "format", "items", "properties", "required", "additionalProperties", // understood
		"description", "default", "minimum", "maximum", "maxLength", "maxItems", // for people, or about requests
	}
	for _, name := range slices.Sorted(maps.Keys(s)) {
		if !slices.Contains(understood, name) {
			all = append(all, at+": "+name)
		}
	}
	if s["properties"] != nil && s["additionalProperties"] != false {
		all = append(all, at+": takes fields that are not described")
	}
	for name, p := range mapOf(s["properties"]) {
		all = append(all, unknownKeywords(mapOf(p), at+"."+name)...)
	}
	all = append(all, unknownKeywords(mapOf(s["items"]), at+"[]")...)
	all = append(all, unknownKeywords(mapOf(s["additionalProperties"]), at+".*")...)
	options, _ := s["anyOf"].([]any)
	for _, one := range options {
		all = append(all, unknownKeywords(mapOf(one), at)...)
	}
	return all
}

func mapOf(v any) map[string]any {
	m, _ := v.(map[string]any)
	return m
}
