"""What the formulas of this room ask for, each with its range and its unit, declared once."""

from typing import Annotated

from efflab.knobs import Range

TENTH = 10**0.1
"""The factor between the stops of a slider with ten of them to a decade: 1, 1.3, 1.6, 2, 2.5, 3.2 ..."""

BillionParameters = Annotated[float, Range(0.001, 2000.0, TENTH, "size of the model", is_logarithmic=True)]
Bits = Annotated[int, Range(1, 32, 1, "for each weight")]
Layers = Annotated[int, Range(1, 160, 1, "each keeps its own keys and values")]
KvHeads = Annotated[int, Range(1, 160, 1, "heads with keys and values of their own, in each layer")]
HeadDim = Annotated[int, Range(16, 512, 8, "numbers in a key, and in a value")]
Context = Annotated[int, Range(1, 131072, 2, "tokens that the model looks back on", is_logarithmic=True)]
Batch = Annotated[int, Range(1, 64, 1, "requests at the same time")]
KvBits = Annotated[int, Range(1, 32, 1, "for each number in the KV cache")]
BandwidthGbPerS = Annotated[
    float, Range(1.0, 10000.0, TENTH, "gigabytes read from memory each second", is_logarithmic=True)
]

BillionTokens = Annotated[float, Range(0.001, 100000.0, TENTH, "text that it is trained on", is_logarithmic=True)]
PeakTflops = Annotated[
    float, Range(0.01, 10000.0, TENTH, "10^12 operations a second of one device", is_logarithmic=True)
]
Utilisation = Annotated[float, Range(0.01, 1.0, 0.01, "fraction of the peak that training reaches")]
Watts = Annotated[float, Range(0.5, 2000.0, TENTH, "of one device at work", is_logarithmic=True)]
Devices = Annotated[int, Range(1, 131072, 2, "at work together", is_logarithmic=True)]
Pue = Annotated[float, Range(1.0, 3.0, 0.01, "energy of the building for each unit that computes")]
GramsPerKwh = Annotated[float, Range(1.0, 1500.0, TENTH, "of CO2, for the electricity", is_logarithmic=True)]

LatencyMs = Annotated[float, Range(0.0001, 100000.0, TENTH, "milliseconds for one request", is_logarithmic=True)]
Cores = Annotated[int, Range(1, 256, 2, "busy while it runs", is_logarithmic=True)]
PricePerCoreHour = Annotated[float, Range(0.001, 10.0, TENTH, "in your currency", is_logarithmic=True)]
WattsPerCore = Annotated[float, Range(0.1, 100.0, TENTH, "of one core at work", is_logarithmic=True)]
