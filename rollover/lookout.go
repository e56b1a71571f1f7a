package rollover

import (
	"context"
	"sync"
)

// lookout has zones looked at, many side by side, and hands them out as they are
// seen, so that one whose servers answer slowly holds up no other.
type lookout struct {
	ctx     context.Context
	waiting []*visit // to be looked at
	most    int      // looks at once; 1 is one after the other, and all before any is handed out
	looking int
	looked  chan *visit // has room for every look that was begun
	running sync.WaitGroup
}

func (e *Engine) lookout(ctx context.Context, visits []*visit) *lookout {
	most := max(e.Looks, 1)
	return &lookout{ctx: ctx, waiting: visits, most: most, looked: make(chan *visit, most)}
}

// seen is zones that were looked at: those that are ready, at least one; none
// when there is nothing left.
func (l *lookout) seen() []*visit {
	if l.most == 1 {
		group := l.waiting
		l.waiting = nil
		for _, v := range group {
			v.look(l.ctx)
		}
		return group
	}
	l.begin()
	var out []*visit
	for l.looking > 0 {
		if len(out) == 0 {
			out = append(out, <-l.looked)
			l.looking--
			continue
		}
		select {
		case v := <-l.looked:
			out = append(out, v)
			l.looking--
		default:
			return out
		}
	}
	return out
}

// begin begins as many looks as may run at once.
func (l *lookout) begin() {
	for ; l.looking < l.most && len(l.waiting) > 0; l.waiting = l.waiting[1:] {
		v := l.waiting[0]
		l.looking++
		l.running.Go(func() {
			v.look(l.ctx)
			l.looked <- v
		})
	}
}

// again has zones looked at once more, before those that were not looked at yet:
// they are in the middle of something.
func (l *lookout) again(visits []*visit) { l.waiting = append(visits, l.waiting...) }

// close waits for the looks that are under way.
func (l *lookout) close() { l.running.Wait() }
