# Wardround with the versions that it is tested with:
#   docker build -t wardround .
#   docker run --rm --network none --user "$(id -u):$(id -g)" -v "$PWD:/work" wardround compare consortium=heart4
FROM python:3.11-slim-bookworm

ENV PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONDONTWRITEBYTECODE=1 MPLCONFIGDIR=/tmp/matplotlib

# The packages first, so that a change of the code does not install them again. torch without a GPU has a smaller build.
WORKDIR /opt/wardround
COPY constraints.txt pyproject.toml README.md LICENSE ./
COPY sim/__init__.py sim/
RUN mkdir clients aggregators attacks threats reports conf \
 && python -m pip install --extra-index-url https://download.pytorch.org/whl/cpu --constraint constraints.txt . \
 && python -m pip uninstall --yes wardround

COPY sim sim
COPY clients clients
COPY aggregators aggregators
COPY attacks attacks
COPY threats threats
COPY reports reports
COPY conf conf
RUN python -m pip install --no-deps --constraint constraints.txt . \
 && useradd --create-home --uid 1000 wardround \
 && install --directory --owner wardround /work

USER wardround
WORKDIR /work
ENTRYPOINT ["wardround"]
CMD ["--help"]
