# Prefect, MLflow and the loop's worker. Build: docker build -f deploy/control.Dockerfile -t rl-loop-control .
# The machine's pip configuration decides where packages come from; the image has no accelerator and no browser.
FROM python:3.11-slim
RUN useradd --create-home --uid 1000 loop
WORKDIR /app
COPY constraints.txt pyproject.toml README.md ./
COPY agent agent
COPY browser_service browser_service
COPY dashboard dashboard
COPY environments environments
COPY examples examples
COPY flows flows
COPY judging judging
COPY policies policies
COPY rollouts rollouts
COPY storage storage
COPY telemetry telemetry
COPY training training
RUN pip install --no-cache-dir --constraint constraints.txt ".[browser,environments,data,train,flows,dashboard]"
USER loop
WORKDIR /home/loop
ENV PYTHONUNBUFFERED=1 DO_NOT_TRACK=1 PREFECT_SERVER_ANALYTICS_ENABLED=false
CMD ["rl-loop", "up", "--stay", "-c", "/config/rl-loop.yaml"]
