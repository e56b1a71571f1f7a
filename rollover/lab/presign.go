package lab

import "context"

type window struct{}

func (b *seedbed) plantPresigned(ctx context.Context, r recipe) error { return nil }
