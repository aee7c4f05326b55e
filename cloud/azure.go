package cloud

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
)

// azureHosts are Azure's registries, in all its clouds.
var azureHosts = regexp.MustCompile(`^[a-z0-9]+(?:-[a-z0-9]+)?(?:\.[a-z0-9]+\.data)?\.azurecr\.(?:io|cn|us)$`)

// azureResource is what the tokens are for.
const azureResource = "https://management.azure.com/"

// azure finds credentials for Azure's registries: a token of Entra ID, for a federated workload identity, a service
// principal or a managed identity, is exchanged for one of the registry.
type azure struct {
	getenv func(string) string
	client *http.Client
}

// credentials implements source.
func (a *azure) credentials(ctx context.Context, host string) (authn.AuthConfig, error) {
	if !azureHosts.MatchString(host) {
		return authn.AuthConfig{}, nil
	}
	r, err := a.identity()
	if err != nil || r == nil {
		return authn.AuthConfig{}, err
	}
	token, err := a.ask(r.WithContext(ctx), "access_token")
	if err != nil {
		return authn.AuthConfig{}, fmt.Errorf("getting a token of Azure: %w", err)
	}
	exchange, err := post("https://"+host+"/oauth2/exchange", url.Values{
		"grant_type": {"access_token"}, "service": {host}, "access_token": {token},
	})
	if err != nil {
		return authn.AuthConfig{}, err
	}
	refresh, err := a.ask(exchange.WithContext(ctx), "refresh_token")
	if err != nil {
		return authn.AuthConfig{}, fmt.Errorf("exchanging a token of Azure for one of %s: %w", host, err)
	}
	return authn.AuthConfig{IdentityToken: refresh}, nil
}

// identity returns the request that gives a token for who this process is, nil if it is nobody.
func (a *azure) identity() (*http.Request, error) {
	tenant, client := a.getenv("AZURE_TENANT_ID"), a.getenv("AZURE_CLIENT_ID")
	form := url.Values{"grant_type": {"client_credentials"}, "client_id": {client}, "scope": {azureResource + ".default"}}
	switch {
	case tenant != "" && client != "" && a.getenv("AZURE_FEDERATED_TOKEN_FILE") != "":
		assertion, err := os.ReadFile(a.getenv("AZURE_FEDERATED_TOKEN_FILE"))
		if err != nil {
			return nil, fmt.Errorf("reading $AZURE_FEDERATED_TOKEN_FILE: %w", err)
		}
		form.Set("client_assertion_type", "urn:ietf:params:oauth:client-assertion-type:jwt-bearer")
		form.Set("client_assertion", strings.TrimSpace(string(assertion)))
	case tenant != "" && client != "" && a.getenv("AZURE_CLIENT_SECRET") != "":
		form.Set("client_secret", a.getenv("AZURE_CLIENT_SECRET"))
	case a.getenv("IDENTITY_ENDPOINT") != "" && a.getenv("IDENTITY_HEADER") != "":
		return a.managed()
	default:
		return nil, nil
	}
	authority := a.getenv("AZURE_AUTHORITY_HOST")
	if authority == "" {
		authority = "https://login.microsoftonline.com/"
	}
	if !strings.HasPrefix(authority, "https://") {
		return nil, errors.New("$AZURE_AUTHORITY_HOST is not a URL of https")
	}
	return post(strings.TrimSuffix(authority, "/")+"/"+url.PathEscape(tenant)+"/oauth2/v2.0/token", form)
}

// managed returns the request to the endpoint that App Service and Container Apps give to what runs in them.
func (a *azure) managed() (*http.Request, error) {
	query := url.Values{"api-version": {"2019-08-01"}, "resource": {azureResource}}
	if client := a.getenv("AZURE_CLIENT_ID"); client != "" {
		query.Set("client_id", client)
	}
	r, err := http.NewRequest(http.MethodGet, a.getenv("IDENTITY_ENDPOINT")+"?"+query.Encode(), nil) //nolint:noctx // its caller gives it one
	if err != nil {
		return nil, errors.New("$IDENTITY_ENDPOINT is not a URL")
	}
	r.Header.Set("X-Identity-Header", a.getenv("IDENTITY_HEADER"))
	return r, nil
}

func post(to string, form url.Values) (*http.Request, error) {
	r, err := http.NewRequest(http.MethodPost, to, strings.NewReader(form.Encode())) //nolint:noctx // its caller gives it one
	if err != nil {
		return nil, errors.New("the address of the token server is not a URL")
	}
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return r, nil
}

// ask sends a request and returns a field of the answer. Errors quote nothing that could be secret.
func (a *azure) ask(r *http.Request, field string) (string, error) {
	const longest = 1 << 20
	resp, err := a.client.Do(r)
	if err != nil {
		return "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, longest))
	if err != nil {
		return "", err
	}
	answer := map[string]any{}
	_ = json.Unmarshal(body, &answer) // what is not JSON has no fields
	if value, ok := answer[field].(string); ok && resp.StatusCode == http.StatusOK && value != "" {
		return value, nil
	}
	return "", fmt.Errorf("%s %s://%s%s: %s", r.Method, r.URL.Scheme, r.URL.Host, r.URL.Path, resp.Status)
}
