# vLLM with its door, on a machine with a GPU. Build: docker build -f deploy/model.Dockerfile -t rl-loop-model .
# The tag of the base image is the CUDA that the vLLM of constraints.txt is built for.
FROM nvidia/cuda:12.9.1-runtime-ubuntu24.04
RUN apt-get update && apt-get install --no-install-recommends -y python3.12-venv && rm -rf /var/lib/apt/lists/* \
    && python3.12 -m venv /venv && useradd --create-home --uid 1001 loop
ENV PATH=/venv/bin:$PATH
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
RUN pip install --no-cache-dir ".[gpu]"
USER loop
WORKDIR /home/loop
ENV PYTHONUNBUFFERED=1 DO_NOT_TRACK=1 PREFECT_SERVER_ANALYTICS_ENABLED=false
EXPOSE 8200
CMD ["rl-loop", "up", "--only", "models", "--stay", "-c", "/config/rl-loop.yaml", "services.listen=0.0.0.0"]
