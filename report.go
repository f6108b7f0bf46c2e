package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"runtime"
	"strings"
	"syscall"
	"text/tabwriter"

	"wavegate/server"
)

// masked stands for a secret.
const masked = "********"

// fail reports that something could not be done and returns the exit code.
func fail(in surroundings, err error) int {
	if wrong, ok := errors.AsType[server.SettingsError](err); ok {
		return refuse(in, flatten(wrong.Unwrap()))
	}
	report(in.stderr, flatten(err), "")
	return exitFail
}

// refuse reports everything that is wrong with the settings and returns the
// exit code.
func refuse(in surroundings, problems []error) int {
	report(in.stderr, problems, "Nothing was started. wavegate --help lists every flag.")
	return exitUsage
}

// report writes one problem on one line, several as a list.
func report(w io.Writer, problems []error, advice string) {
	if len(problems) == 1 {
		fmt.Fprintf(w, "wavegate: %s\n", advise(problems[0]))
	} else {
		fmt.Fprintf(w, "wavegate: %d problems:\n", len(problems))
		for _, p := range problems {
			fmt.Fprintf(w, "  %s\n", strings.ReplaceAll(advise(p), "\n", "\n  "))
		}
	}
	if advice != "" {
		fmt.Fprintln(w, advice)
	}
}

// advise returns the error's text. Where that ends with what the operating
// system said of a file, it adds what to do about it.
func advise(err error) string {
	text := err.Error()
	p, ok := errors.AsType[*fs.PathError](err)
	if !ok || !strings.HasSuffix(text, p.Err.Error()) {
		return text
	}
	info, statErr := os.Stat(p.Path)
	switch {
	case errors.Is(err, fs.ErrNotExist), errors.Is(err, syscall.ENOTDIR):
		return text + ": check the path, and make its folder first"
	case errors.Is(err, fs.ErrPermission):
		return text + ": let the user that runs wavegate use it"
	case statErr == nil && !info.Mode().IsRegular():
		return text + ": name a file instead"
	}
	return text
}

// versionLine is what --version prints.
func versionLine() string {
	return fmt.Sprintf("wavegate %s (%s, %s/%s)\n", version, runtime.Version(), runtime.GOOS, runtime.GOARCH)
}

// print lists every effective value and where it came from.
func (r *resolution) print(w io.Writer) {
	t := tabwriter.NewWriter(w, 0, 8, 2, ' ', 0)
	for _, v := range r.values {
		o := v.option
		if o.group == commands && !o.retired || o.lineOnly || (o.hidden || o.retired) && !v.given() {
			continue
		}
		fmt.Fprintf(t, "%s\t%s\t%s\n", o.name, v.shown(), v.origin())
	}
	_ = t.Flush()
}

// shown returns the value as it may be seen by others.
func (v *value) shown() string {
	if v.option.kind == toggle && !v.given() {
		return "false"
	}
	if len(v.texts) == 0 {
		return "-"
	}
	if v.option.secret {
		return masked
	}
	texts := v.texts
	if !v.option.adds() {
		texts = []string{last(texts)}
	}
	safe := make([]string, len(texts))
	for i, text := range texts {
		safe[i] = fmt.Sprintf("%q", redact(text))
		if text != "" && !strings.ContainsFunc(text, func(r rune) bool { return r <= ' ' || r == '"' || r >= 0x7f }) {
			safe[i] = redact(text)
		}
	}
	return strings.Join(safe, " ")
}

// origin says where the value came from.
func (v *value) origin() string {
	switch v.source {
	case fromFlag:
		return "flag"
	case fromEnvironment:
		return "environment " + v.where
	case fromFile:
		return "file " + v.where
	}
	return "default"
}
