# The bridge with its embedded engines; docker-compose.yml puts drachtio-server and FreeSWITCH beside it.
#   docker build -t pranthora-sip-bridge .
#   docker run --network host -e PRANTHORA_API_KEY=… -e BRIDGE_CONFIG=config/minimal.yaml pranthora-sip-bridge

FROM node:24.21.0-bookworm-slim AS base
WORKDIR /app

FROM base AS build
COPY package.json package-lock.json ./
RUN npm ci --ignore-scripts
COPY tsconfig.json tsconfig.build.json ./
COPY src ./src
RUN npm run build

FROM base AS dependencies
COPY package.json package-lock.json ./
RUN npm ci --omit=dev --ignore-scripts

# Takes results alone, so that npm's cache and the compiler stay behind. All of it is root's: the bridge, which is not,
# cannot change its own program.
FROM base
ENV NODE_ENV=production
COPY package.json README.md CHANGELOG.md LICENSE ./
COPY config ./config
COPY --from=dependencies /app/node_modules ./node_modules
COPY --from=build /app/dist ./dist
USER node

# SIP and the operator's HTTP. Not the ports for RTP: there are ten thousand of them, and publishing each has its cost;
# use host networking.
EXPOSE 5060/udp 5060/tcp 8080/tcp

# Asks where HTTP_PORT says; with http.port in the file instead, override this.
HEALTHCHECK --interval=10s --timeout=3s --start-period=10s --retries=3 \
  CMD ["node", "-e", "fetch('http://127.0.0.1:' + (process.env.HTTP_PORT || 8080) + '/health').then((r) => process.exit(r.ok ? 0 : 1), () => process.exit(1))"]

# No shell or npm in between: SIGTERM reaches the bridge, and it drains.
ENTRYPOINT ["node", "dist/main.js"]
CMD ["start"]
