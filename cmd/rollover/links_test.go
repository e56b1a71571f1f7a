package main

import (
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode"
)

// Every relative link and anchor in README.md and the pages of docs leads
// somewhere, and to every page leads a link.
func TestLinksOfTheManual(t *testing.T) {
	root := filepath.Join("..", "..")
	pages := []string{filepath.Join(root, "README.md")}
	err := filepath.WalkDir(filepath.Join(root, "docs"), func(path string, _ fs.DirEntry, err error) error {
		if filepath.Ext(path) == ".md" {
			pages = append(pages, path)
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	var reached []string
	for _, page := range pages {
		for _, link := range linksOf(page, proseOf(t, page)) {
			reached = append(reached, link.path)
			if _, err := os.Stat(link.path); err != nil {
				t.Errorf("%s: the link %s leads nowhere", page, link.text)
			} else if link.anchor != "" && !slices.Contains(anchorsOf(proseOf(t, link.path)), link.anchor) {
				t.Errorf("%s: the link %s leads to no heading of %s", page, link.text, link.path)
			}
		}
	}
	for _, page := range pages[1:] {
		if !slices.Contains(reached, page) {
			t.Errorf("no link leads to %s", page)
		}
	}
}

// proseOf is the lines of a page without code.
func proseOf(t *testing.T, path string) []string {
	t.Helper()
	raw, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var out []string
	fenced := false
	for line := range strings.Lines(string(raw)) {
		if strings.HasPrefix(line, "```") {
			fenced = !fenced
		}
		if !fenced && !strings.HasPrefix(line, "    ") {
			out = append(out, strings.TrimSpace(line))
		}
	}
	return out
}

// link is a link to a file of the project.
type link struct{ text, path, anchor string }

func linksOf(page string, lines []string) []link {
	var out []link
	code, target := regexp.MustCompile("`[^`]*`"), regexp.MustCompile(`\]\(([^)\s]+)\)`)
	for _, line := range lines {
		for _, m := range target.FindAllStringSubmatch(code.ReplaceAllString(line, "code"), -1) {
			to, err := url.Parse(m[1])
			if err == nil && to.IsAbs() {
				continue
			}
			file, anchor, _ := strings.Cut(m[1], "#")
			path := page
			if file != "" {
				path = filepath.Join(filepath.Dir(page), filepath.FromSlash(file))
			}
			out = append(out, link{m[1], path, anchor})
		}
	}
	return out
}

// anchorsOf is the anchors that GitHub makes of the headings of a page.
func anchorsOf(lines []string) []string {
	var out []string
	for _, line := range lines {
		title := strings.TrimLeft(line, "#")
		if title == line || !strings.HasPrefix(title, " ") {
			continue
		}
		out = append(out, strings.Map(func(r rune) rune {
			switch {
			case r == ' ':
				return '-'
			case r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r):
				return unicode.ToLower(r)
			}
			return -1
		}, strings.TrimSpace(title)))
	}
	return out
}
