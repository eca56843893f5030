// Starts GraphiQL against this origin. The Authorization header typed into its headers pane serves sockets too.
const socketUrl = location.origin.replace(/^http/, "ws") + "/graphql/";
let authorization = "";
const wsClient = graphqlWs.createClient({ url: socketUrl, lazy: true, connectionParams: () => ({ authorization }) });
const fetcher = GraphiQL.createFetcher({ url: "/graphql/", wsClient });
const withHeaders = (parameters, options) => {
  const headers = (options && options.headers) || {};
  authorization = headers.Authorization || headers.authorization || "";
  return fetcher(parameters, options);
};
const example = `# Log in first (Ctrl-Enter), then put the token into the headers below:
# {"Authorization": "Bearer …"}
mutation {
  logIn(email: "amina@demo.example", password: "demo-Client-2026") {
    ... on SignedIn { tokens { accessToken } }
    ... on Problem { code message }
  }
}
`;
ReactDOM.createRoot(document.getElementById("graphiql")).render(
  React.createElement(GraphiQL, { fetcher: withHeaders, defaultQuery: example, defaultEditorToolsVisibility: "headers" }),
);
