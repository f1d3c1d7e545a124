package kube

import (
	"bytes"
	"cmp"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"

	"github.com/pgorigin/pgorigin/test/servers"
)

// Client speaks JSON with an API server, as its admin.
type Client struct {
	// Warned is called for each warning that comes with an answer. It may be nil.
	Warned func(text string)

	base string
	http *http.Client
}

func newClient(lab *servers.Lab, base string) *Client {
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(lab.CA.PEM())
	return &Client{base: base, http: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}, MaxIdleConnsPerHost: 8}}}
}

// StatusError is an answer other than 2xx.
type StatusError struct {
	Code    int
	Message string
}

func (e *StatusError) Error() string { return fmt.Sprintf("%d: %s", e.Code, e.Message) }

// Create posts an object to a path such as /api/v1/namespaces and returns what the server made of it. A query such as
// dryRun=All may follow in path. Members that the server does not know are an error.
func (c *Client) Create(ctx context.Context, path string, o Object) (Object, error) {
	separator := "?"
	if strings.Contains(path, "?") {
		separator = "&"
	}
	return c.do(ctx, http.MethodPost, path+separator+"fieldValidation=Strict", o)
}

// Get reads an object or a list.
func (c *Client) Get(ctx context.Context, path string) (Object, error) {
	return c.do(ctx, http.MethodGet, path, nil)
}

// Update replaces an object.
func (c *Client) Update(ctx context.Context, path string, o Object) (Object, error) {
	return c.do(ctx, http.MethodPut, path, o)
}

// Delete removes an object at once.
func (c *Client) Delete(ctx context.Context, path string) error {
	_, err := c.do(ctx, http.MethodDelete, path+"?gracePeriodSeconds=0", nil)
	return err
}

func (c *Client) do(ctx context.Context, method, path string, in Object) (Object, error) {
	var body io.Reader
	if in != nil {
		text, err := json.Marshal(in)
		if err != nil {
			return nil, fmt.Errorf("encode object: %w", err)
		}
		body = bytes.NewReader(text)
	}
	text, err := c.send(ctx, method, path, body)
	if err != nil {
		return nil, err
	}
	var out Object
	if err := json.Unmarshal(text, &out); err != nil {
		return nil, fmt.Errorf("decode answer: %w", err)
	}
	return out, nil
}

func (c *Client) send(ctx context.Context, method, path string, body io.Reader) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, method, c.base+path, body)
	if err != nil {
		return nil, fmt.Errorf("make request: %w", err)
	}
	request.Header.Set("Authorization", "Bearer "+adminToken)
	request.Header.Set("Content-Type", "application/json")
	request.Header.Set("Accept", "application/json")
	response, err := c.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask the API server: %w", err)
	}
	defer func() { _ = response.Body.Close() }()
	for _, header := range response.Header.Values("Warning") { // 299 - "text"
		if c.Warned != nil {
			_, quoted, _ := strings.Cut(header, " - ")
			warning, _ := strconv.Unquote(quoted) // empty if it cannot be read
			c.Warned(cmp.Or(warning, header))
		}
	}
	text, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("read the API server's answer: %w", err)
	}
	if response.StatusCode/100 != 2 {
		var status struct{ Message string }
		if json.Unmarshal(text, &status) != nil || status.Message == "" {
			status.Message = string(text)
		}
		return nil, &StatusError{Code: response.StatusCode, Message: status.Message}
	}
	return text, nil
}

// ready is nil when /readyz says ok.
func (c *Client) ready(ctx context.Context) error {
	_, err := c.send(ctx, http.MethodGet, "/readyz", nil)
	return err
}
