window.ui = SwaggerUIBundle({
  urls: [
    { url: "../openapi/v1.json", name: "v1 and operations" },
    { url: "../openapi/sage.json", name: "Sage" },
    { url: "../openapi/llmstack.json", name: "LLMStack" },
    { url: "../openapi/genie.json", name: "GenieHelper" },
  ],
  dom_id: "#swagger-ui",
  deepLinking: true,
  docExpansion: "none",
  defaultModelsExpandDepth: 0,
  filter: true,
  tryItOutEnabled: false,
  validatorUrl: null,
  presets: [SwaggerUIBundle.presets.apis, SwaggerUIStandalonePreset],
  plugins: [SwaggerUIBundle.plugins.DownloadUrl],
  layout: "StandaloneLayout",
});
