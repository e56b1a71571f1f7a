package rollover

import (
	"context"
	"sync"
	"time"
)

// patience is for how long, at least, a zone that was looked at waits for those whose
// looks were begun with its own, so that they share a purge: for as long as its own
// look took, if that is longer.
const patience = 250 * time.Millisecond

// lookout has zones looked at, many side by side, and hands them out as they are
// seen, so that one whose servers answer slowly holds up no other.
type lookout struct {
	ctx     context.Context
	engine  *Engine
	waiting []*visit // to be looked at
	most    int      // looks at once; 1 is one after the other, and all before any is handed out
	looking int
	looked  chan *visit // has room for every look that was begun
	running sync.WaitGroup
}

func (e *Engine) lookout(ctx context.Context, visits []*visit) *lookout {
	most := max(e.Looks, 1)
	return &lookout{ctx: ctx, engine: e, waiting: visits, most: most, looked: make(chan *visit, most)}
}

// seen is zones that were looked at, at least one; none when there is nothing left.
// It waits for those that it begins to look at as long as patience is, and for none
// that it has waited for before.
func (l *lookout) seen() []*visit {
	if l.most == 1 {
		return l.inTurn()
	}
	fresh, begun := l.begin(), l.engine.Now()
	var late <-chan time.Time
	var out []*visit
	for l.looking > 0 && (len(out) == 0 || len(fresh) > 0) {
		select {
		case v := <-l.looked:
			l.looking--
			delete(fresh, v)
			if out = append(out, v); late == nil {
				late = l.engine.After(max(patience, l.engine.Now().Since(begun)))
			}
		case <-late:
			clear(fresh)
		}
	}
	return append(out, l.besides()...)
}

// inTurn looks at all, one after the other.
func (l *lookout) inTurn() []*visit {
	group := l.waiting
	l.waiting = nil
	for _, v := range group {
		v.look(l.ctx)
	}
	return group
}

// begin begins as many looks as may run at once, and returns whose.
func (l *lookout) begin() map[*visit]bool {
	fresh := map[*visit]bool{}
	for ; l.looking < l.most && len(l.waiting) > 0; l.waiting = l.waiting[1:] {
		v := l.waiting[0]
		l.looking++
		fresh[v] = true
		l.running.Go(func() {
			v.look(l.ctx)
			l.looked <- v
		})
	}
	return fresh
}

// besides is who was seen by now.
func (l *lookout) besides() []*visit {
	var out []*visit
	for {
		select {
		case v := <-l.looked:
			l.looking--
			out = append(out, v)
		default:
			return out
		}
	}
}

// again has zones looked at once more, before those that were not looked at yet:
// they are in the middle of something.
func (l *lookout) again(visits []*visit) { l.waiting = append(visits, l.waiting...) }

// close waits for the looks that are under way.
func (l *lookout) close() { l.running.Wait() }
