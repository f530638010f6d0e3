# syntax=docker/dockerfile:1
# What `./vp images test` and `./vp images sbom` want to know of an image, found out on top of the image itself; nothing made here
# becomes part of one. The result of the targets python and node is a folder of files.
ARG BASE_IMAGE=python:3.11-slim-bookworm
ARG NODE_IMAGE=node:24-bookworm-slim
ARG IMAGE

FROM ${BASE_IMAGE} AS tools
COPY deploy/laptop/requirements-uv.lock deploy/images/requirements-sbom.lock /
RUN python3 -m pip install --no-cache-dir --no-deps --require-hashes --root-user-action ignore --target /uv -r /requirements-uv.lock \
 && /uv/bin/uv pip install --quiet --no-cache --no-deps --require-hashes --target /tools -r /requirements-sbom.lock

# packages.json: what is installed, what does not fit together, what differs from LOCKS. sbom.json: CycloneDX.
FROM ${IMAGE} AS python-inspection
ARG LOCKS
USER 0:0
RUN --mount=type=bind,from=tools,source=/tools,target=/tools --mount=type=bind,target=/context \
    mkdir /inspection && cd /context \
 && PYTHONPATH=/tools python deploy/images/inspect_python.py $LOCKS >/inspection/packages.json \
 && python -c 'import runpy, sys; sys.path.insert(0, "/tools"); runpy.run_module("cyclonedx_py", run_name="__main__", alter_sys=True)' \
      environment --output-reproducible --output-file /inspection/sbom.json /opt/trainer \
 && dpkg-query --show --showformat '${Package} ${Version} ${Architecture}\n' >/inspection/debian.txt
FROM scratch AS python
COPY --from=python-inspection /inspection /

FROM ${IMAGE} AS node-image
FROM ${NODE_IMAGE} AS node-inspection
COPY --from=node-image /app /app
COPY --from=node-image /var/lib/dpkg/status /var/lib/dpkg/status
WORKDIR /app
# npm would miss the packages for developers of the workspaces, whatever is omitted.
RUN for folder in . shared-contracts services/*; do (cd "$folder" && npm pkg delete devDependencies); done \
 && mkdir /inspection && npm sbom --sbom-format cyclonedx --omit dev >/inspection/sbom.json \
 && dpkg-query --show --showformat '${Package} ${Version} ${Architecture}\n' >/inspection/debian.txt
FROM scratch AS node
COPY --from=node-inspection /inspection /
