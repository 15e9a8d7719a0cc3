# The book in Jupyter, on a CPU:
#   docker build -t aif_atari . && docker run -p 8888:8888 aif_atari
# or one command, which leaves its files in the present folder:
#   docker run -v "$PWD:/home/reader/work" -w /home/reader/work aif_atari aif_play --pretrained breakout
FROM python:3.12-slim
RUN useradd --create-home --uid 1000 reader
COPY . /src
RUN pip install --no-cache-dir uv
RUN uv pip install --system --no-cache --torch-backend cpu /src jupyterlab
RUN cp -r /src/nbs /home/reader/nbs && chown -R reader /home/reader/nbs && rm -rf /src
USER reader
WORKDIR /home/reader
EXPOSE 8888
CMD ["jupyter", "lab", "--ip", "0.0.0.0", "--no-browser", "nbs"]
