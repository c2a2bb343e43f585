# gan in a container, for a CPU or an NVIDIA GPU:
#
#   docker build -t gan .                             # CUDA build of torch, as pip takes it; runs on a CPU too
#   docker build -t gan:cpu --build-arg TORCH_INDEX=URL .     # URL: pytorch.org's index of CPU builds; smaller by gigabytes
#
#   docker run --rm -v "$PWD:/work" -u "$(id -u):$(id -g)" gan train --no-download
#   docker run --rm --gpus all --read-only --tmpfs /tmp -v "$PWD:/work" -u "$(id -u):$(id -g)" gan train -d /work/pictures
#
# It writes to /work (the working directory) and to /data (decoded data sets; a volume keeps them), as a user without rights.
ARG PYTHON=3.12
FROM python:${PYTHON}-slim AS build
ARG TORCH_INDEX=
ARG EXTRAS=metrics
WORKDIR /src
RUN python -m venv /opt/gan
ENV PATH=/opt/gan/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1
RUN if [ -n "$TORCH_INDEX" ]; then pip install --index-url "$TORCH_INDEX" torch torchvision; else pip install torch torchvision; fi
COPY pyproject.toml README.md LICENSE ./
COPY gancli gancli
RUN pip install ".[$EXTRAS]"

FROM python:${PYTHON}-slim
COPY --from=build /opt/gan /opt/gan
# Torch's compiled steps (`--compile`) need a compiler; without one a word says so and the run goes on.
ENV PATH=/opt/gan/bin:$PATH GAN_DATA=/data PYTHONDONTWRITEBYTECODE=1 PYTHONUNBUFFERED=1 HOME=/tmp
RUN mkdir -m 1777 /data /work && useradd --uid 1000 --no-create-home gan
USER 1000
WORKDIR /work
VOLUME /data
# exec form: the container's signals reach gan, which saves its state and ends with 75
ENTRYPOINT ["gan"]
CMD ["--help"]
STOPSIGNAL SIGTERM
