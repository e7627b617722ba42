# The app as a container:  docker build -t segapp . && docker run -p 8866:8866 -v "$PWD:/data" segapp
# It prints the address with a token. Sections are opened from /data, results are written there.
FROM python:3.11-slim

ENV PYTHONUNBUFFERED=1 PIP_NO_CACHE_DIR=1 NUMBA_CACHE_DIR=/var/cache/segapp
RUN useradd --create-home --uid 1000 segapp \
    && mkdir -p /var/cache/segapp /data \
    && chown segapp /var/cache/segapp /data

WORKDIR /opt/segapp
COPY pyproject.toml constraints.txt README.md LICENSE NOTICE ./
COPY segapp segapp
COPY notebooks notebooks
# the CPU build of torch first: a fifth of the size, and it must not be replaced by a newer one afterwards
RUN pip install --no-deps --index-url https://download.pytorch.org/whl/cpu "$(grep '^torch==' constraints.txt)" \
    && pip install --constraint constraints.txt .

USER segapp
# one small run compiles the kernels, so that the first visitor does not wait for it
RUN segapp sample tissue --size 256 --out /tmp/sample \
    && segapp run --gem /tmp/sample/tissue.gem.gz --stain /tmp/sample/stain.tif --preset stain+rna --out /tmp/cells \
    && rm -rf /tmp/sample /tmp/cells

WORKDIR /data
VOLUME /data
EXPOSE 8866
HEALTHCHECK --interval=30s --start-period=60s \
    CMD ["python", "-c", "import socket; socket.create_connection(('127.0.0.1', 8866), 3)"]
ENTRYPOINT ["segapp"]
CMD ["app", "--host", "0.0.0.0", "--no-browser", "--root", "/data", "--preheat", "1"]
