package main

import (
	"fmt"
	"os"
	"strings"
)

// accepted is a survivor that cannot matter, from the table of docs/mutants.md.
type accepted struct {
	file, function, text, reason string
	used                         bool
}

// readAccepted reads the rows of the table whose first cell names a Go file.
func readAccepted(path string) ([]*accepted, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	var out []*accepted
	for line := range strings.Lines(string(text)) {
		cells := cellsOf(line)
		if len(cells) == 0 || !strings.HasSuffix(cells[0], ".go") {
			continue
		}
		if len(cells) != 4 || cells[3] == "" {
			return nil, fmt.Errorf("%s: a row needs file, function, mutation and reason: %s", path, strings.TrimSpace(line))
		}
		out = append(out, &accepted{file: cells[0], function: cells[1], text: cells[2], reason: cells[3]})
	}
	return out, nil
}

// cellsOf is the cells of a row of a table, without the backquotes; a bar within
// a cell is written \|.
func cellsOf(line string) []string {
	line = strings.TrimSpace(line)
	if !strings.HasPrefix(line, "|") {
		return nil
	}
	const bar = "\x00"
	line = strings.Trim(strings.ReplaceAll(line, `\|`, bar), "|")
	var out []string
	for _, cell := range strings.Split(line, "|") {
		cell = strings.TrimSpace(strings.ReplaceAll(cell, bar, "|"))
		if quoted := strings.TrimPrefix(cell, "`"); quoted != cell && strings.HasSuffix(quoted, "`") && strings.Count(cell, "`") == 2 {
			cell = strings.TrimSuffix(quoted, "`")
		}
		out = append(out, cell)
	}
	return out
}

// row is a survivor as the table has it, for the reason to be added.
func (m Mutant) row() string {
	return fmt.Sprintf("| %s | %s | `%s` | |", m.File, m.Function, strings.ReplaceAll(m.Text, "|", `\|`))
}

// acceptedFor is the row of a mutant; nil if there is none.
func acceptedFor(m Mutant, list []*accepted) *accepted {
	for _, a := range list {
		if a.file == m.File && a.function == m.Function && a.text == m.Text {
			return a
		}
	}
	return nil
}
