# syntax=docker/dockerfile:1
#
# CPU:   docker build -t relik .
# CUDA:  docker build -t relik:cuda --build-arg EXTRAS=gpu .   (run with --gpus all)
ARG PYTHON=3.12

FROM python:${PYTHON}-slim AS build
COPY . /source
RUN pip wheel --no-cache-dir --no-deps --wheel-dir /wheels /source

FROM python:${PYTHON}-slim
ARG EXTRAS=""
RUN --mount=type=bind,from=build,source=/wheels,target=/wheels \
    pip install --no-cache-dir "$(echo /wheels/*.whl)${EXTRAS:+[${EXTRAS}]}" \
    && useradd --uid 10001 --create-home relik
USER relik
WORKDIR /home/relik
# Inside a container the loopback address is reachable by nobody.
ENV RELIK_HOST=0.0.0.0 RELIK_PORT=8000 PYTHONUNBUFFERED=1
EXPOSE 8000
HEALTHCHECK --interval=10s --timeout=3s --start-period=30s \
    CMD ["python", "-c", "import os, urllib.request as u; u.urlopen(f'http://127.0.0.1:{os.environ[\"RELIK_PORT\"]}/livez', timeout=2)"]
ENTRYPOINT ["relik"]
CMD ["serve"]
