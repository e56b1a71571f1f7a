package hook

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"

	"rollover/rollover"
)

// Exec tells by a program: exit code 0 means that it was told.
type Exec struct{ Program }

// Notify runs the program with the notice as JSON on its standard input, and in
// its environment.
func (e *Exec) Notify(ctx context.Context, n rollover.Notice) error {
	stdin, err := json.Marshal(n)
	if err != nil {
		return fmt.Errorf("encoding a notice: %w", err)
	}
	out := e.run(ctx, noticeEnv(n), append(stdin, '\n'))
	if out.code != 0 {
		return errors.New(out.why())
	}
	return nil
}

func noticeEnv(n rollover.Notice) []string {
	return []string{
		"ROLLOVER_EVENT=" + n.Event,
		"ROLLOVER_ZONE=" + n.Zone,
		"ROLLOVER_ID=" + n.Roll,
		"ROLLOVER_TYPE=" + n.Type,
		"ROLLOVER_METHOD=" + n.Method,
		"ROLLOVER_STATE=" + string(n.State),
		"ROLLOVER_STEP=" + n.Step,
		"ROLLOVER_NOTICE=" + n.ID,
		fmt.Sprintf("ROLLOVER_REPEAT=%d", n.Repeat),
		"ROLLOVER_SOURCE=" + n.Source,
		"ROLLOVER_SEVERITY=" + string(n.Severity),
		"ROLLOVER_TEXT=" + line(n.Text),
		"ROLLOVER_COMMAND=" + line(n.Command),
		"ROLLOVER_DS_ADD=" + strings.Join(n.Add, "\n"),
		"ROLLOVER_DS_REMOVE=" + strings.Join(n.Remove, "\n"),
	}
}

// line keeps control characters out of environment, mail and headers.
func line(text string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f || r >= 0x80 && r < 0xa0 {
			return ' '
		}
		return r
	}, strings.ToValidUTF8(text, "?"))
}
