"""A FastAPI application as people write it. Without postponed annotations, which FastAPI would look up here."""

from fastapi import Depends, FastAPI, HTTPException, WebSocket
from pydantic import BaseModel

app = FastAPI()


class Item(BaseModel):
    name: str
    price: float = 1.0


def doubled(q: int = 5) -> int:  # on a thread
    return q * 2


@app.post("/items/{number}")
def make(number: int, item: Item, twice: int = Depends(doubled)):
    return {"number": number, "item": item, "doubled": twice}


@app.get("/gone")
async def gone():
    raise HTTPException(410, "gone", headers={"x-why": "old"})


@app.websocket("/ws/{name}")
async def socket(ws: WebSocket, name: str):
    await ws.accept()
    await ws.send_json({"name": name, "got": await ws.receive_json()})
    await ws.close(4000, "enough")
