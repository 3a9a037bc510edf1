// A real OpenID provider on loopback: who types which name signs in, two factors where the name ends in "-mfa".
// Arguments: port, where the browser comes back to, where it goes after signing out, back channel, client id, secret.
import Provider from "oidc-provider";

const [port, back, after, channel, client, secret] = process.argv.slice(2);
const issuer = `http://127.0.0.1:${port}`;
const provider = new Provider(issuer, {
  clients: [{
    client_id: client, client_secret: secret, redirect_uris: [back], post_logout_redirect_uris: [after],
    response_types: ["code"], grant_types: ["authorization_code"], token_endpoint_auth_method: "client_secret_basic",
    backchannel_logout_uri: channel, backchannel_logout_session_required: true,
  }],
  features: { devInteractions: { enabled: true }, backchannelLogout: { enabled: true }, rpInitiatedLogout: { enabled: true } },
  findAccount: (_ctx, id) => ({
    accountId: id,
    claims: () => ({
      sub: id, preferred_username: id, name: `${id} Example`, roles: ["staff", id.split("-")[0]],
    }),
  }),
  claims: { openid: ["sub", "amr"], profile: ["preferred_username", "name", "roles"] },
  conformIdTokenClaims: false,
  fetch: (url, { dispatcher: _notOnLoopback, ...options }) => fetch(url, options), // its own refuses loopback
  pkce: { required: () => true },
  cookies: { keys: ["for tests alone"] },
});
const finished = provider.interactionFinished.bind(provider);
provider.interactionFinished = (request, response, result, options) => {
  if (result.login?.accountId.endsWith("-mfa")) result.login.amr = ["pwd", "mfa"];
  return finished(request, response, result, options);
};
provider.on("server_error", (_ctx, error) => console.error(error));
provider.on("backchannel.error", (_ctx, error) => console.error("backchannel", error));
provider.listen(Number(port), "127.0.0.1", () => console.log(`ready at ${issuer}`));
