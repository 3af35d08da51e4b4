# A browser service: Chromium with slots. Build: docker build -f deploy/browsers.Dockerfile -t rl-loop-browsers .
# It has no policy and no key but its own, because the pages that it opens are hostile.
FROM python:3.11-slim
RUN apt-get update && apt-get install --no-install-recommends -y chromium fonts-liberation && rm -rf /var/lib/apt/lists/* \
    && useradd --create-home --uid 1000 loop
WORKDIR /app
COPY constraints.txt pyproject.toml README.md ./
COPY browser_service browser_service
COPY telemetry telemetry
RUN pip install --no-cache-dir --constraint constraints.txt ".[browser]"
USER loop
WORKDIR /home/loop
ENV PYTHONUNBUFFERED=1 DO_NOT_TRACK=1 PREFECT_SERVER_ANALYTICS_ENABLED=false
EXPOSE 7000
CMD ["browser-service", "up", "--host", "0.0.0.0", "--port", "7000"]
