"""Recurrent layers: RNN, LSTM and GRU over whole sequences."""
