package server

import (
	"net/http"
	"slices"
	"strings"

	"wavegate/server/fault"
	"wavegate/server/policy"
)

// routes is the whole surface of this server: every endpoint of its own, below
// the base URL. Whatever is not here goes to the gateway, whose routes come
// from --upstream, the policy file, the folders and the registered apps.
//
// One endpoint more has no line of its own: POST to the base URL itself
// registers an app (registration.go).
func (s *Server) routes() []route {
	return []route{
		// Forward authentication for other proxies.
		{"*", "/_auth/verify", s.verify},    // nginx auth_request: status only
		{"*", "/_auth/forward", s.forward},  // Traefik, Caddy, HAProxy
		{"*", "/_auth/forward/", s.forward}, // Envoy appends the path that it asks about
		{"GET", "/_auth/assets/", s.assets}, // style and pictures of the pages

		// The authorization server: OAuth 2.0 and OpenID Connect (docs/oauth.md).
		{"GET", authorizePath, s.withOAuthSignIn(withoutHead(s.authorize))},  // page: may this app act for you?
		{"POST", authorizePath, s.withOAuthSignIn(s.authorizeForm)},          // the same, sent as a form by another site
		{"POST", decisionPath, s.withOAuthSignIn(s.decide)},                  // what the person said
		{"POST", "/oauth/token", s.forClients(s.token)},                      //
		{"POST", "/oauth/revoke", s.forClients(s.revoke)},                    //
		{"POST", "/oauth/introspect", s.forClients(s.introspect)},            //
		{"POST", "/oauth/par", s.withOAuthSignIn(s.forClients(s.push))},      // a request ahead of the browser
		{"POST", devicePath, s.withOAuthSignIn(s.forClients(s.startDevice))}, // a device without a browser
		{"GET", devicePath, s.withOAuthSignIn(s.devicePage)},                 // page: which code does it show?
		{"POST", deviceCodePath, s.withOAuthSignIn(s.deviceCode)},
		{"POST", deviceAllowPath, s.withOAuthSignIn(s.decideDevice)},
		{"GET", "/oauth/userinfo", s.withOAuth(s.oauthUserinfo)},
		{"POST", "/oauth/userinfo", s.withOAuth(s.oauthUserinfo)},
		{"POST", "/oauth/register", s.withOAuth(s.registerClient)},              // where the policy says so
		{"GET", oauthLogoutPath, s.withOAuthSignIn(withoutHead(s.oauthLogout))}, // an app signs somebody out
		{"POST", oauthLogoutPath, s.withOAuthSignIn(s.oauthLogout)},             //
		{"POST", confirmPath, s.withOAuthSignIn(s.confirmLogout)},               // whoever was asked first
		{"OPTIONS", "/oauth/", s.withOAuth(s.oauthPreflight)},                   // scripts of other origins
		{"GET", "/oauth/jwks", s.jwks},                                          // keys that verify what this server signs
		{"GET", "/.well-known/openid-configuration", s.withOAuth(s.discovery)},  //
		{"GET", metadataPath, s.withOAuth(s.discovery)},                         //

		// Sign-in in the browser. There is nothing here where nobody could sign in.
		{"GET", loginPath, s.withSignIn(s.login)},                                // page: providers and form
		{"POST", loginPath, s.withSignIn(s.signInLocally)},                       // the form: local users
		{"GET", initPath, s.withSignIn(s.beginLogin)},                            // to a provider
		{"GET", callbackPath, s.withSignIn(withoutHead(s.callback))},             // and back
		{"GET", logoutPath, s.withSignIn(withoutHead(s.logout))},                 // asks first when another site links here
		{"POST", logoutPath, s.withSignIn(s.logout)},                             //
		{"GET", signedOutPath, s.withSignIn(s.signedOut)},                        //
		{"GET", forgetPath, s.withSignIn(s.forget)},                              // a picture on that page: the browser keeps nothing
		{"POST", "/_auth/backchannel-logout", s.withSignIn(s.backchannelLogout)}, // the provider says who signed out there
		{"GET", "/_auth/account", s.withSignIn(s.toPortal("profile"))},           // for old links

		// The portal: people manage what is theirs (package manage). Each of its pages is
		// calls of the API below, made in this process.
		{"GET", "/_portal", s.withSignIn(s.toPortal(""))},
		{"GET", portalPath, s.withSignIn(s.servePortal)},
		{"POST", portalPath, s.withSignIn(s.servePortal)},

		// The same for programs.
		{"GET", "/_auth/userinfo", s.userinfo},                     // who am I
		{"POST", "/_auth/token", s.withSignIn(s.sessionToken)},     // a token of ten minutes
		{"*", "/_auth/refresh", s.withSignIn(s.refresh)},           // waved: fresh tokens of a session for an app
		{"GET", "/v1/auth/sessions", s.withSignIn(s.listSessions)}, // one's own; admins: everybody's
		{"DELETE", "/v1/auth/sessions", s.withSignIn(s.endSessions)},
		{"DELETE", "/v1/auth/sessions/{id}", s.withSignIn(s.deleteSession)},
		{"POST", "/v1/auth/password", s.withSignIn(s.setPassword)}, // local users
		{"GET", "/v1/auth/users", s.withSignIn(s.listUsers)},       // admins
		{"GET", "/v1/auth/users/{id}", s.withSignIn(s.getUser)},
		{"PATCH", "/v1/auth/users/{id}", s.withSignIn(s.changeUser)}, // roles; disable, enable

		// Access keys of the keychain (docs/access-keys.md), for admins.
		{"GET", "/v1/auth/access-keys", s.listAccessKeys},
		{"POST", "/v1/auth/access-keys", s.createAccessKey},
		{"DELETE", "/v1/auth/access-keys", s.deleteAccessKeyOf}, // by ?id=
		{"DELETE", "/v1/auth/access-keys/{id}", s.deleteAccessKey},

		// API keys (docs/api-keys.md).
		{"POST", "/v1/auth/keys", s.createKey},
		{"GET", "/v1/auth/keys", s.listKeys},           // one's own; admins: everybody's
		{"POST", "/v1/auth/keys/verify", s.verifyKey},  // for services that are shown keys
		{"POST", "/v1/auth/keys/import", s.importKeys}, // admins
		{"GET", "/v1/auth/keys/export", s.exportKeys},
		{"GET", "/v1/auth/keys/{id}", s.getKey},
		{"PATCH", "/v1/auth/keys/{id}", s.changeKey},
		{"DELETE", "/v1/auth/keys/{id}", s.deleteKey}, // at once
		{"POST", "/v1/auth/keys/{id}/rotate", s.rotateKey},
		{"GET", "/v1/auth/status", s.status},                      // who am I, what have I left
		{"GET", "/v1/auth/catalog", s.getCatalog},                 // what can I choose from
		{"GET", "/v1/auth/keys/{id}/refusals", s.listKeyRefusals}, // the latest, of this process
		{"GET", "/v1/auth/attention", s.listAttention},            // what ends, is locked, fails

		// The same in the words of WAVIS.
		{"GET", "/api/v1/user/api-keys", s.listOwnKeys},
		{"POST", "/api/v1/user/api-keys", s.createUserKey}, // ten an hour
		{"DELETE", "/api/v1/user/api-keys/{id}", s.deleteKey},
		{"POST", "/api/v1/keys/apikey/rotate", s.rotateSelf},  // the key itself asks
		{"POST", "/api/v1/onboarding/temp-key", s.issueTrial}, // no credential; where the policy has trials
		{"DELETE", "/api/v1/onboarding/temp-key/{prefix}", s.endTrial},

		// Apps that ask for tokens (clientsapi.go), and what people allowed them.
		{"GET", "/v1/auth/clients", s.listClients}, // one's own; admins: everybody's
		{"POST", "/v1/auth/clients", s.createClient},
		{"POST", "/v1/auth/clients/check", s.checkClientRequest}, // would it do? makes nothing
		{"GET", "/v1/auth/clients/{id}", s.getClient},
		{"PATCH", "/v1/auth/clients/{id}", s.changeClient}, // also: disable, enable
		{"DELETE", "/v1/auth/clients/{id}", s.deleteClient},
		{"POST", "/v1/auth/clients/{id}/rotate-secret", s.rotateClientSecret},
		{"GET", "/v1/auth/connections", s.withSignIn(s.listConnections)}, // apps that may act for the caller
		{"DELETE", "/v1/auth/connections/{id}", s.withSignIn(s.deleteConnection)},
		{"GET", "/v1/auth/signing-keys", s.listSigningKeys}, // admins
		{"POST", "/v1/auth/signing-keys/rotate", s.rotateSigningKeys},

		// Events that are sent to other servers (webhooksapi.go, deliveriesapi.go).
		{"GET", "/v1/auth/webhooks", s.listWebhooks},
		{"POST", "/v1/auth/webhooks", s.createWebhook},
		{"POST", "/v1/auth/webhooks/check", s.checkWebhook}, // would it do? makes nothing
		{"GET", "/v1/auth/webhooks/{id}", s.withWebhook(policy.ReadWebhooks, s.getWebhook)},
		{"PATCH", "/v1/auth/webhooks/{id}", s.withWebhook(policy.WriteWebhooks, s.changeWebhook)},
		{"DELETE", "/v1/auth/webhooks/{id}", s.withWebhook(policy.WriteWebhooks, s.deleteWebhook)},
		{"POST", "/v1/auth/webhooks/{id}/test", s.withWebhook(policy.WriteWebhooks, s.testWebhook)},
		{"POST", "/v1/auth/webhooks/{id}/rotate-secret", s.withWebhook(policy.WriteWebhooks, s.rotateWebhookSecret)},
		{"GET", "/v1/auth/webhooks/{id}/deliveries", s.withWebhook(policy.ReadWebhooks, s.listDeliveries)},
		{"GET", "/v1/auth/webhooks/{id}/deliveries/{delivery_id}", s.withWebhook(policy.ReadWebhooks, s.getDelivery)},
		{"POST", "/v1/auth/webhooks/{id}/deliveries/{delivery_id}/redeliver", s.withWebhook(policy.WriteWebhooks, s.redeliver)},

		// The server itself, for administrators.
		{"GET", "/v1/auth/policy", s.getPolicy},        // the rules in force
		{"POST", "/v1/auth/explain", s.explainRequest}, // why is that allowed or refused?
		{"GET", "/v1/auth/system", s.getSystem},        // how each part is

		// What happened.
		{"GET", "/v1/auth/usage", s.getUsage},                        // counts
		{"GET", "/v1/auth/audit", s.listAudit},                       // changes and refusals
		{"GET", "/v1/auth/audit/export", withoutHead(s.exportAudit)}, // the same as a file
		{"GET", "/v1/auth/audit/verify", withoutHead(s.verifyAudit)}, // admins: is it what was written?
		{"GET", "/v1/auth/lockouts", s.listLockouts},                 // admins: who must wait
		{"DELETE", "/v1/auth/lockouts", s.liftLockoutOf},             // by kind and subject
		{"DELETE", "/v1/auth/lockouts/{id}", s.liftLockout},          // by ID
		{"GET", "/v1/auth/openapi.json", s.openAPI},                  // what there is under /v1/auth/ and /api/v1/, for machines

		{"GET", "/_health/live", s.live},   // the process answers
		{"GET", "/_health/ready", s.ready}, // and wants traffic
	}
}

// A route is one endpoint of the server's own. A path that ends in a slash
// stands for everything below it, and {…} for one segment, which the handler finds
// in exchange.args; the method "*" is any, and GET serves HEAD.
type route struct {
	method, path string
	serve        func(*exchange, *http.Request) error
}

// ownPath returns path relative to the base URL when this server answers it
// itself.
func (s *Server) ownPath(path string) (string, bool) {
	if s.oauth != nil && s.oauth.inserted == path && path != "" {
		return metadataPath, true
	}
	if !strings.HasPrefix(path, s.cfg.BaseURL) {
		return "", false
	}
	own := path[len(s.cfg.BaseURL)-1:] // from the slash that the base URL ends in
	return own, policy.Reserved(own)
}

// serveOwn finds the line of the table.
func (s *Server) serveOwn(ex *exchange, r *http.Request, path string) error {
	var allowed []string
	for _, rt := range s.table {
		args, ok := rt.matches(path)
		if !ok {
			continue
		}
		if rt.method == "*" || rt.method == r.Method || rt.method == http.MethodGet && r.Method == http.MethodHead {
			ex.Route, ex.args = rt.path, args
			return rt.serve(ex, r)
		}
		if !slices.Contains(allowed, rt.method) {
			allowed = append(allowed, rt.method)
		}
	}
	if len(allowed) > 0 {
		return fault.MethodNotAllowed(strings.Join(allowed, ", "))
	}
	return fault.NotFound()
}

// matches reports whether the line is about a path, and what its {…} are there.
func (rt route) matches(path string) (args [2]string, ok bool) {
	pattern, n := rt.path, 0
	for {
		i := strings.IndexByte(pattern, '{')
		if i < 0 {
			ok := path == pattern || strings.HasSuffix(pattern, "/") && strings.HasPrefix(path, pattern)
			return args, ok
		}
		if !strings.HasPrefix(path, pattern[:i]) {
			return args, false
		}
		path, pattern = path[i:], pattern[strings.IndexByte(pattern, '}')+1:]
		end := strings.IndexByte(path, '/')
		if end < 0 {
			end = len(path)
		}
		if end == 0 {
			return args, false
		}
		args[n], path = path[:end], path[end:]
		n++
	}
}

// withoutHead refuses HEAD where a GET changes something.
func withoutHead(serve func(*exchange, *http.Request) error) func(*exchange, *http.Request) error {
	return func(ex *exchange, r *http.Request) error {
		if r.Method == http.MethodHead {
			return fault.MethodNotAllowed(http.MethodGet)
		}
		return serve(ex, r)
	}
}

func (s *Server) assets(ex *exchange, r *http.Request) error {
	s.look().Assets().ServeHTTP(ex, r)
	return nil
}
