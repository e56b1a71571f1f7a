package hook

import (
	"bytes"
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"time"

	"rollover/rollover"
)

const webhookTimeout = 10 * time.Second

// Webhook tells by a POST of JSON. The address and the secret are read anew
// each time, since both may be secret and be replaced.
type Webhook struct {
	URL     func() (string, error)
	Secret  func() ([]byte, error) // shared with the receiver; empty: not signed
	Timeout time.Duration          // 10 s if zero
	Now     func() time.Time
}

// Notify posts a notice; any 2xx is success. Redirects are not followed: they
// would send a signed request to another place. No error tells the address.
func (w *Webhook) Notify(ctx context.Context, n rollover.Notice) error {
	timeout := w.Timeout
	if timeout <= 0 {
		timeout = webhookTimeout
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	request, err := w.request(ctx, n)
	if err != nil {
		return err
	}
	client := http.Client{CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}
	defer client.CloseIdleConnections()
	answer, err := client.Do(request)
	if err != nil {
		return withoutURL(err)
	}
	defer answer.Body.Close()
	if _, err := io.Copy(io.Discard, io.LimitReader(answer.Body, outputLimit)); err != nil {
		return fmt.Errorf("reading the answer: %w", withoutURL(err))
	}
	if answer.StatusCode/100 != 2 {
		return fmt.Errorf("the server answers %d %s", answer.StatusCode, http.StatusText(answer.StatusCode))
	}
	return nil
}

func (w *Webhook) request(ctx context.Context, n rollover.Notice) (*http.Request, error) {
	address, err := w.URL()
	if err != nil {
		return nil, err
	}
	secret, err := w.Secret()
	if err != nil {
		return nil, err
	}
	body, err := json.Marshal(n)
	if err != nil {
		return nil, fmt.Errorf("encoding a notice: %w", err)
	}
	request, err := http.NewRequestWithContext(ctx, http.MethodPost, address, bytes.NewReader(body))
	if err != nil {
		return nil, errors.New("the address of the webhook is no URL")
	}
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("User-Agent", "rollover")
	request.Header.Set("X-Rollover-Event", n.Event)
	request.Header.Set("X-Rollover-Notice", n.ID)
	if len(secret) > 0 {
		stamp := strconv.FormatInt(w.Now().Unix(), 10)
		request.Header.Set("X-Rollover-Timestamp", stamp)
		request.Header.Set("X-Rollover-Signature", "sha256="+Sign(secret, stamp, body))
	}
	return request, nil
}

// Sign is the signature of a body: HMAC-SHA256 over time stamp, dot, body, in
// hexadecimal. The time stamp lets a receiver refuse old requests.
func Sign(secret []byte, stamp string, body []byte) string {
	mac := hmac.New(sha256.New, secret)
	mac.Write([]byte(stamp + "."))
	mac.Write(body)
	return hex.EncodeToString(mac.Sum(nil))
}

// withoutURL takes the address out of an error of net/http: it may hold a token.
func withoutURL(err error) error {
	var inner *url.Error
	if errors.As(err, &inner) {
		return inner.Err
	}
	return err
}
