package filewatch

import (
	"os"
	"path/filepath"
	"strings"
)

// maxHops is how many symlinks trail follows before it gives up.
const maxHops = 40

// trail returns the names whose change can change what an absolute path leads
// to: every symlink on the way, in folders and at the end, and the file itself,
// each in a folder whose own name is free of links. Where something is missing
// it ends with the name that is missing. Kubernetes' two links (keys →
// ..data/keys, ..data → ..2026_01_01) thus give three names.
func trail(path string) []string {
	var names []string
	here, rest := "/", split(path)
	for hops := 0; len(rest) > 0; {
		part := rest[0]
		rest = rest[1:]
		if part == ".." {
			here = filepath.Dir(here)
			continue
		}
		name := filepath.Join(here, part)
		info, err := os.Lstat(name)
		if err != nil {
			return append(names, name)
		}
		if info.Mode()&os.ModeSymlink == 0 {
			here = name
			if len(rest) == 0 {
				names = append(names, name)
			}
			continue
		}
		names = append(names, name)
		target, err := os.Readlink(name)
		if hops++; err != nil || hops > maxHops {
			return names
		}
		if filepath.IsAbs(target) {
			here = "/"
		}
		rest = append(split(target), rest...)
	}
	return names
}

// split returns the parts of a path, without empty ones and ".".
func split(path string) []string {
	var parts []string
	for part := range strings.SplitSeq(path, "/") {
		if part != "" && part != "." {
			parts = append(parts, part)
		}
	}
	return parts
}
